// Reference pages that are held against the source, both ways.
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { checkout } from '../brokers/places.ts'
import type { Check } from './check.ts'

/** A table's rows by their first cell, back quotes taken off. */
export type Rows = ReadonlyMap<string, readonly string[]>

/** The rows of every Markdown table of a page that begin with a cell in back quotes, as `code` cells do. */
export const rowsOf = (page: string): Rows => {
  const rows = page
    .split('\n')
    .filter((line) => /^\|\s*`/.test(line))
    .map((line) =>
      line
        .replaceAll('\\|', '\u0000')
        .split('|')
        .slice(1, -1)
        .map((cell) => cell.replaceAll('\u0000', '|').replaceAll('`', '').trim()),
    )
  return new Map(rows.map(([first = '', ...rest]) => [first, rest]))
}

/** What differs between a page's rows and what the source has: the cells that come first must be equal, further ones are free. */
export const bothWays = (page: Rows, source: Rows): readonly string[] => [
  ...[...source].flatMap(([name, cells]) => {
    const row = page.get(name)
    if (row === undefined)
      return [`the page lacks a row: | \`${name}\` | ${cells.map((cell) => `${cell} |`).join(' ')}`]
    return cells
      .map((cell, index) => (row[index] === cell ? '' : `\`${name}\`: the page says ${row[index]}, the source ${cell}`))
      .filter((each) => each !== '')
  }),
  ...[...page.keys()]
    .filter((name) => !source.has(name))
    .map((name) => `\`${name}\` is on the page and not in the source`),
  ...[...page].filter(([, cells]) => cells.includes('')).map(([name]) => `\`${name}\` has an empty cell`),
]

const held = (name: string, page: string, source: string, rows: () => Promise<Rows>): Check => ({
  name,
  repair: `change ${page} or ${source} until both say the same`,
  run: async () => {
    const path = join(checkout, page)
    if (!existsSync(path)) return [`${page} is missing`]
    return bothWays(rowsOf(readFileSync(path, 'utf8')), await rows())
  },
})

/** docs/reference/errors.md: every code, and whether trying again may help. */
export const errorPage = held('error table', 'docs/reference/errors.md', 'packages/core/src/errors.ts', async () => {
  const { errorCodes } = await import('../../packages/core/src/errors.ts')
  return new Map(Object.entries(errorCodes).map(([code, { retryable }]) => [code, [retryable ? 'yes' : 'no']]))
})

/** docs/reference/wire.md: every header of ours. */
export const wirePage = held('wire format', 'docs/reference/wire.md', 'packages/core/src/driver/wire.ts', async () => {
  const { wireNames } = await import('../../packages/core/src/driver/wire.ts')
  return new Map(Object.values(wireNames).map((name) => [name, []]))
})

const shown = (claim: boolean | string): string => (typeof claim === 'string' ? claim : claim ? 'yes' : 'no')

/** docs/reference/capabilities.md: what each adapter claims. */
export const capabilityPage = held(
  'capability table',
  'docs/reference/capabilities.md',
  'packages/testkit/src/capability-table.ts',
  async () => {
    const { capabilityTable } = await import('../../packages/testkit/src/capability-table.ts')
    const adapters = Object.entries(capabilityTable)
    const claims = Object.keys(adapters[0]?.[1] ?? {}) as (keyof (typeof adapters)[0][1])[]
    return new Map(claims.map((claim) => [claim, adapters.map(([, row]) => shown(row[claim]))]))
  },
)

/** docs/reference/transcripts.md: what each transport makes of the program, and which cell and which line of `explain()` say so. */
export const transcriptPage = held(
  'transcript table',
  'docs/reference/transcripts.md',
  'packages/testkit/src/conformance/program.ts',
  async () => {
    const { capabilityTable } = await import('../../packages/testkit/src/capability-table.ts')
    const { program } = await import('../../packages/testkit/src/conformance/program.ts')
    const rows = Object.values(capabilityTable)
    return new Map(
      program.map(({ name, unless }) => [
        name,
        [
          ...rows.map((row) => (unless?.lacking(row) === true ? unless.code : 'same')),
          unless?.cell ?? 'none',
          unless?.promise ?? 'nothing differs',
        ],
      ]),
    )
  },
)
