// `pnpm test:runs <name> [--runs=10] [--load=0] [--seconds=N] [--fresh]`: the conformance suite of an adapter so many times in a row, beside
// `load` processes that do nothing but compute; figures in `evidence/<name>-runs.json`. A row that was cut off goes on where it was, on the same
// commit and with the same load; a run that is red ends it.
import { type ChildProcess, spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import { loadavg } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { checkout } from './brokers/places.ts'
import { runsOf, seenOn, writeRuns } from './evidence.ts'
import { runTests, type TestRun } from './test-run.ts'

interface Run extends TestRun {
  readonly date: string
  readonly commit: string
  /** Processes that computed beside it. */
  readonly load: number
  readonly seconds: number
  /** Of the machine over its last minute, whoever made it. */
  readonly loadAverage: number
}

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    runs: { type: 'string', default: '10' },
    load: { type: 'string', default: '0' },
    // No run is begun later than this.
    seconds: { type: 'string', default: '86400' },
    fresh: { type: 'boolean', default: false },
  },
})
const [name = ''] = positionals
const suite = `packages/${name}/src/conformance.test.ts`

if (!/^[a-z][a-z0-9-]*$/.test(name) || !existsSync(join(checkout, suite))) {
  console.error(
    `there is no adapter ${JSON.stringify(name)} with a conformance suite; give one, such as: pnpm test:runs rabbitmq`,
  )
  process.exitCode = 1
} else await row(Number(values.runs), Number(values.load), performance.now() + Number(values.seconds) * 1_000)

async function row(wanted: number, load: number, until: number): Promise<void> {
  const { commit } = seenOn()
  const evidence = `${name}-runs`
  const all = runsOf<Run>(evidence)
  const ours = (run: Run): boolean => run.load === load
  const others = all.filter((run) => !ours(run))
  const done = values.fresh ? [] : all.filter((run) => ours(run) && run.commit === commit && isGreen(run))
  while (done.length < wanted && performance.now() < until) {
    const run = await one(load)
    done.push(run)
    writeRuns(evidence, `pnpm test:runs ${name} [--runs=N] [--load=N]`, [...others, ...done])
    console.log(
      `run ${done.length} of ${wanted}: ${run.passed} passed, ${run.failed} failed, ${run.skipped} skipped, ${run.seconds} s`,
    )
    if (!isGreen(run)) {
      console.error(`red: ${run.red.join('; ')}`)
      process.exitCode = 1
      return
    }
  }
  console.log(
    done.length < wanted
      ? `${done.length} of ${wanted} are done; the same command goes on`
      : `${wanted} green in a row`,
  )
}

function isGreen({ passed, failed }: TestRun): boolean {
  return failed === 0 && passed > 0
}

async function one(load: number): Promise<Run> {
  const busy = Array.from({ length: load }, computing)
  const from = performance.now()
  try {
    const run = await runTests([suite], new AbortController().signal)
    const seconds = Math.round((performance.now() - from) / 1_000)
    return { ...seenOn(), load, seconds, loadAverage: Math.round((loadavg()[0] ?? 0) * 10) / 10, ...run }
  } finally {
    for (const each of busy) each.kill()
  }
}

/** One processor's worth of work that nobody needs; it ends with who started it. */
function computing(): ChildProcess {
  const program =
    "process.once('disconnect', () => process.exit()); setInterval(() => { for (const end = Date.now() + 45; Date.now() < end; ); }, 50)"
  return spawn(process.execPath, ['-e', program], { stdio: ['ignore', 'ignore', 'inherit', 'ipc'] })
}
