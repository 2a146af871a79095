import { mkdir, readFile, rename, writeFile } from 'node:fs/promises'
import { dirname } from 'node:path'
import type { Harness } from './harness.ts'
import type { Outcome } from './outcome.ts'
import type { Scenario } from './scenario.ts'

/** Scenario by adapter: how each ended in the last run that wrote it. */
export type Matrix = Readonly<
  Record<string, { readonly says: string; readonly outcomes: Readonly<Record<string, Outcome['outcome']>> }>
>

let writing: Promise<void> = Promise.resolve()

/** Merges one outcome into the harness's matrix, where it names one. */
export function recordOutcome(harness: Harness, scenario: Scenario, { outcome }: Outcome): Promise<void> {
  const file = harness.matrix
  if (file === undefined) return Promise.resolve()
  writing = writing.then(() => merge(file, scenario, harness.name, outcome))
  return writing
}

async function merge(file: string, scenario: Scenario, adapter: string, outcome: Outcome['outcome']): Promise<void> {
  const old = JSON.parse(await readFile(file, 'utf8').catch(() => '{}')) as Matrix
  const next: Matrix = {
    ...old,
    [scenario.id]: { says: scenario.says, outcomes: { ...old[scenario.id]?.outcomes, [adapter]: outcome } },
  }
  await mkdir(dirname(file), { recursive: true })
  await writeFile(`${file}.new`, `${JSON.stringify(next, null, 2)}\n`)
  await rename(`${file}.new`, file)
}

/** The matrix as a table in Markdown, for the docs. */
export function matrixTable(matrix: Matrix): string {
  const adapters = [...new Set(Object.values(matrix).flatMap(({ outcomes }) => Object.keys(outcomes)))].sort()
  const rows = Object.entries(matrix).map(
    ([id, { says, outcomes }]) =>
      `| \`${id}\` | ${says} | ${adapters.map((name) => outcomes[name] ?? '–').join(' | ')} |`,
  )
  return [
    `| scenario | promise | ${adapters.join(' | ')} |`,
    `|---|---|${adapters.map(() => '---|').join('')}`,
    ...rows,
  ].join('\n')
}
