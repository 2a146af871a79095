// One run of vitest, counted.
import { spawn } from 'node:child_process'
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { checkout } from './brokers/places.ts'

/** How many tests went how. */
export interface Tally {
  readonly passed: number
  readonly failed: number
  readonly skipped: number
}

/** The same of one run, with what failed by name. */
export interface TestRun extends Tally {
  readonly red: readonly string[]
}

/** As far as we read what vitest writes with its json reporter. */
export interface Report {
  readonly numPassedTests: number
  readonly numPendingTests: number
  readonly testResults: readonly {
    readonly name: string
    readonly status: string
    readonly assertionResults: readonly { readonly status: string; readonly fullName: string }[]
  }[]
}

/**
 * Counts a report. A file that failed without a failed test (it could not be loaded) is one failure; so is a run that ended badly for a reason
 * that is in no file (an unhandled rejection, or no report at all).
 */
export const tally = (report: Report | undefined, exitCode: number): TestRun => {
  if (report === undefined) return { passed: 0, failed: 1, skipped: 0, red: ['no report'] }
  const red = report.testResults.flatMap(({ name, status, assertionResults }) => {
    const failed = assertionResults.flatMap((each) => (each.status === 'failed' ? [each.fullName] : []))
    return status === 'failed' && failed.length === 0 ? [name] : failed
  })
  if (red.length === 0 && exitCode !== 0) red.push(`the run ended with ${exitCode}`)
  return { passed: report.numPassedTests, failed: red.length, skipped: report.numPendingTests, red }
}

/** Runs the tests whose path has one of these parts, all without any; what vitest says goes to the terminal. */
export const runTests = async (parts: readonly string[], signal: AbortSignal): Promise<TestRun> => {
  const folder = mkdtempSync(join(tmpdir(), 'posthorn-tests-'))
  const file = join(folder, 'report.json')
  try {
    const args = ['run', '--reporter=default', '--reporter=json', `--outputFile.json=${file}`, ...parts]
    const child = spawn('vitest', args, {
      cwd: checkout,
      stdio: ['ignore', 'inherit', 'inherit'],
      signal,
      killSignal: 'SIGTERM',
    })
    const code = await new Promise<number>((resolve) => {
      child.on('error', () => resolve(1))
      child.on('close', (ended) => resolve(ended ?? 1))
    })
    return tally(existsSync(file) ? (JSON.parse(readFileSync(file, 'utf8')) as Report) : undefined, code)
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}
