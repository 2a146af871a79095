// `pnpm test [package...]`: everything, or the tests of these packages alone, with only the brokers that they need.
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { type BrokerSet, brokerSet } from './broker-set.ts'
import { checkout } from './brokers/places.ts'
import { ofThePackages, ofTheTree } from './checks/catalogue.ts'
import { type Check, type Outcome, runChecks } from './checks/check.ts'
import { neededBrokers, startedByTests } from './needed-brokers.ts'
import { needNode24 } from './node-version.ts'
import { smoke } from './packed/smoke.ts'
import { runTests, type Tally } from './test-run.ts'
import { publicMembers } from './workspace.ts'

const folders = ['packages', 'examples', '.']

/** The folder of a name: `core`, `hello`, `scripts`. */
const folderOf = (name: string): string => {
  const folder = folders.map((each) => join(each, name)).find((each) => existsSync(join(checkout, each)))
  if (folder === undefined || !/^[a-z][a-z0-9-]*$/.test(name))
    throw new Error(
      `there is no package ${JSON.stringify(name)}; give the name of a folder in packages/, such as: pnpm test core memory`,
    )
  return `${folder}/`
}

const timings: (readonly [string, number])[] = []

const timed = async <T>(stage: string, work: () => Promise<T>): Promise<T> => {
  const began = performance.now()
  try {
    return await work()
  } finally {
    timings.push([stage, (performance.now() - began) / 1000])
  }
}

const ofChecks = (outcomes: readonly Outcome[]): Tally => {
  const failed = outcomes.filter(({ findings }) => findings.length > 0).length
  return { passed: outcomes.length - failed, failed, skipped: 0 }
}

const sum = (tallies: readonly Tally[]): Tally => ({
  passed: tallies.reduce((total, { passed }) => total + passed, 0),
  failed: tallies.reduce((total, { failed }) => total + failed, 0),
  skipped: tallies.reduce((total, { skipped }) => total + skipped, 0),
})

const startedBrokers = (brokers: BrokerSet): Check => ({
  name: 'brokers',
  repair: 'see docs/guide/brokers-for-tests.md; `pnpm brokers logs <name>` shows more',
  run: () => brokers.started,
})

const packedSmoke = async (): Promise<Tally> => {
  const { checks, remove } = smoke(publicMembers())
  try {
    return ofChecks(await runChecks(checks))
  } finally {
    remove()
  }
}

const everything = async (brokers: BrokerSet, signal: AbortSignal): Promise<Tally> => {
  const tree = await timed('static checks', async () => ofChecks(await runChecks([...ofTheTree, ...ofThePackages])))
  const packed = await timed('packed smoke', packedSmoke)
  return sum([tree, packed, await tested(brokers, [], signal)])
}

const tested = async (brokers: BrokerSet, parts: readonly string[], signal: AbortSignal): Promise<Tally> => {
  // A broker that does not start is a failure; one that does is no test.
  const up = await timed('waiting for brokers', async () => ofChecks(await runChecks([startedBrokers(brokers)])))
  return sum([{ ...up, passed: 0 }, await timed('tests', () => runTests(parts, signal))])
}

needNode24()
const names = process.argv.slice(2)
const parts = names.map(folderOf)
const wanted = Object.entries(neededBrokers).filter(([name]) => names.length === 0 || names.includes(name))
const brokers = brokerSet(
  [...new Set(wanted.flatMap(([, needed]) => needed))],
  wanted.flatMap(([name]) => startedByTests[name] ?? []),
)
const interrupted = new AbortController()
for (const event of ['SIGINT', 'SIGTERM'] as const) process.once(event, () => interrupted.abort())

try {
  const { passed, failed, skipped } =
    names.length === 0
      ? await everything(brokers, interrupted.signal)
      : await tested(brokers, parts, interrupted.signal)
  await timed('stopping brokers', () => brokers.stop())
  for (const [stage, seconds] of timings) console.log(`${stage.padEnd(20)} ${seconds.toFixed(1).padStart(6)} s`)
  if (skipped > 0) console.log(`${skipped} skipped, each with the capability that its adapter lacks`)
  console.log(`${passed} passed, ${failed} failed`)
  process.exitCode = failed === 0 && passed > 0 ? 0 : 1
} finally {
  await brokers.stop()
}
