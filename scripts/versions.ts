// `pnpm test:versions <name> [version...]`: the conformance suite on each other version of a broker that `pnpm brokers` can start, one after
// the other; figures in `evidence/<name>-versions.json`. The version that every `pnpm test` runs on is not among them.
import { execFileSync } from 'node:child_process'
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { brokers } from './brokers/catalogue.ts'
import { ensure, stop } from './brokers/lifecycle.ts'
import { checkout } from './brokers/places.ts'
import { runTests, type Tally } from './test-run.ts'

interface Run extends Tally {
  readonly version: string
  readonly date: string
  readonly commit: string
}

const [name = '', ...wanted] = process.argv.slice(2)
const variants = brokers
  .map((broker) => broker.name)
  .filter(
    (each) => each.startsWith(`${name}@`) && (wanted.length === 0 || wanted.includes(each.slice(name.length + 1))),
  )

if (variants.length === 0) {
  console.error(`there is no other version of ${JSON.stringify(name)}; pnpm brokers lists them`)
  process.exitCode = 1
} else {
  const file = join(checkout, 'evidence', `${name}-versions.json`)
  const commit = execFileSync('git', ['rev-parse', '--short', 'HEAD'], { cwd: checkout, encoding: 'utf8' }).trim()
  for (const variant of variants) {
    await ensure(variant)
    try {
      // Tests read which broker they run on from here.
      process.env[`POSTHORN_${name.toUpperCase()}`] = variant
      const tally = await runTests([`packages/${name}/src/conformance.test.ts`], new AbortController().signal)
      console.log(`${variant}: ${tally.passed} passed, ${tally.failed} failed, ${tally.skipped} skipped`)
      note(file, {
        version: variant.slice(name.length + 1),
        date: new Date().toISOString().slice(0, 10),
        commit,
        ...tally,
      })
      if (tally.failed > 0 || tally.passed === 0) process.exitCode = 1
    } finally {
      await stop(variant)
    }
  }
}

/** One row per version, the last run of each. */
function note(file: string, run: Run): void {
  const before = existsSync(file)
    ? (JSON.parse(readFileSync(file, 'utf8')) as { readonly runs: readonly Run[] }).runs
    : []
  const runs = [...before.filter(({ version }) => version !== run.version), run]
  writeFileSync(file, `${JSON.stringify({ command: `pnpm test:versions ${name}`, runs }, undefined, 2)}\n`)
}
