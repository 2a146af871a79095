// `pnpm test:versions <name> [version...]`: the conformance suite, and what else of the adapter's tests asks which broker it runs on, on each other
// version of a broker that `pnpm brokers` can start, one after the other; figures in `evidence/<name>-versions.json`. The version that every
// `pnpm test` runs on is not among them.
import { globSync, readFileSync } from 'node:fs'
import { brokers } from './brokers/catalogue.ts'
import { ensure, stop } from './brokers/lifecycle.ts'
import { runsOf, seenOn, writeRuns } from './evidence.ts'
import { runTests, type TestRun } from './test-run.ts'

interface Run extends TestRun {
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

/** Tests read from here which broker they run on. */
const variable = `POSTHORN_${name.toUpperCase()}`
const tests = globSync(`packages/${name}/src/*.test.ts`).filter((file) => readFileSync(file, 'utf8').includes(variable))

if (variants.length === 0) {
  console.error(`there is no other version of ${JSON.stringify(name)}; pnpm brokers lists them`)
  process.exitCode = 1
} else {
  for (const variant of variants) {
    await ensure(variant)
    try {
      process.env[variable] = variant
      const run = await runTests(tests, new AbortController().signal)
      console.log(`${variant}: ${run.passed} passed, ${run.failed} failed, ${run.skipped} skipped`)
      note({ version: variant.slice(name.length + 1), ...seenOn(), ...run })
      if (run.failed > 0 || run.passed === 0) process.exitCode = 1
    } finally {
      await stop(variant)
    }
  }
}

/** One row per version, the last run of each. */
function note(run: Run): void {
  const evidence = `${name}-versions`
  const others = runsOf<Run>(evidence).filter(({ version }) => version !== run.version)
  writeRuns(evidence, `pnpm test:versions ${name}`, [...others, run])
}
