import { mkdir, readFile, rename, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Outcome } from './outcome.ts'
import { ofTheUmbrella, type Scenario } from './scenario.ts'

/** How each scenario ended with one adapter, by its id. */
export type Column = Readonly<Record<string, Outcome['outcome']>>

/** Collects the outcomes of one adapter. */
export interface MatrixColumn {
  note(scenario: Scenario, outcome: Outcome): void
  /** Merges them into `<folder>/<adapter>.json`. */
  write(folder: string): Promise<void>
}

/** An empty column. Each adapter has a file of its own, so that suites that run side by side do not meet. */
export function columnOf(adapter: string): MatrixColumn {
  const column: Record<string, Outcome['outcome']> = {}
  return {
    note({ id }, result) {
      const bare = result.outcome === 'refused as declared' && result.lacks.some(ofTheUmbrella)
      column[id] = bare ? 'not possible here' : result.outcome
    },
    async write(folder) {
      const file = join(folder, `${adapter}.json`)
      const old = JSON.parse(await readFile(file, 'utf8').catch(() => '{}')) as Column
      // Another harness of the same adapter may be able to do what this one cannot.
      const fresh = Object.entries(column).filter(([id, outcome]) => !(outcome === 'not possible here' && id in old))
      await mkdir(folder, { recursive: true })
      await writeFile(`${file}.new`, `${JSON.stringify({ ...old, ...Object.fromEntries(fresh) }, null, 2)}\n`)
      await rename(`${file}.new`, file)
    },
  }
}

/** Scenario by adapter as a table in Markdown, for the docs. */
export function matrixTable(columns: Readonly<Record<string, Column>>, scenarios: readonly Scenario[]): string {
  const adapters = Object.keys(columns).sort()
  const cell = (id: string, adapter: string): string => columns[adapter]?.[id] ?? '–'
  return [
    `| scenario | promise | ${adapters.join(' | ')} |`,
    `|---|---|${adapters.map(() => '---|').join('')}`,
    ...scenarios.map(
      ({ id, says }) => `| \`${id}\` | ${says} | ${adapters.map((name) => cell(id, name)).join(' | ')} |`,
    ),
  ].join('\n')
}
