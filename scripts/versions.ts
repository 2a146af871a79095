// `pnpm test:versions <name> [version...]`: the conformance suite on each other version of a broker that `pnpm brokers` can start, one after
// the other; figures in `evidence/<name>-versions.json`. The version that every `pnpm test` runs on is not among them.
import { execFileSync } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { brokers } from './brokers/catalogue.ts'
import { ensure, stop } from './brokers/lifecycle.ts'
import { checkout } from './brokers/places.ts'
import { runTests } from './test-run.ts'

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
  const runs: unknown[] = []
  for (const variant of variants) {
    await ensure(variant)
    try {
      // Tests read which broker they run on from here.
      process.env[`POSTHORN_${name.toUpperCase()}`] = variant
      const tally = await runTests([`packages/${name}/src/conformance.test.ts`], new AbortController().signal)
      console.log(`${variant}: ${tally.passed} passed, ${tally.failed} failed, ${tally.skipped} skipped`)
      runs.push({ version: variant.slice(name.length + 1), ...tally })
      if (tally.failed > 0 || tally.passed === 0) process.exitCode = 1
    } finally {
      await stop(variant)
    }
  }
  const commit = execFileSync('git', ['rev-parse', '--short', 'HEAD'], { cwd: checkout, encoding: 'utf8' }).trim()
  const evidence = {
    command: ['pnpm test:versions', name, ...wanted].join(' '),
    date: new Date().toISOString().slice(0, 10),
    commit,
    runs,
  }
  writeFileSync(join(checkout, 'evidence', `${name}-versions.json`), `${JSON.stringify(evidence, undefined, 2)}\n`)
}
