import { execFileSync } from 'node:child_process'
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { checkout } from './brokers/places.ts'

/** On what and when a figure was seen, as it stands beside it. */
export const seenOn = (): { readonly date: string; readonly commit: string } => ({
  date: new Date().toISOString().slice(0, 10),
  commit: execFileSync('git', ['rev-parse', '--short', 'HEAD'], { cwd: checkout, encoding: 'utf8' }).trim(),
})

const fileOf = (name: string): string => join(checkout, 'evidence', `${name}.json`)

/** The runs that `evidence/<name>.json` has; none before there is such a file. */
export function runsOf<Run>(name: string): readonly Run[] {
  const file = fileOf(name)
  return existsSync(file) ? (JSON.parse(readFileSync(file, 'utf8')) as { readonly runs: readonly Run[] }).runs : []
}

/** Writes `evidence/<name>.json` anew. */
export function writeRuns(name: string, command: string, runs: readonly unknown[]): void {
  writeFileSync(fileOf(name), `${JSON.stringify({ command, runs }, undefined, 2)}\n`)
}
