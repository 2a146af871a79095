// SQLite as a second opinion: random selectors over random messages must mean the same in both, three-valued.
import { DatabaseSync } from 'node:sqlite'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { evaluation, type Filterable } from './evaluation.ts'
import { parseSelector } from './parser.ts'

// ── messages: what each header is as a number and as a boolean is known here, not asked of the code under test

interface Cell {
  readonly text: string | null
  readonly number: number | null
  readonly truth: boolean | null
}
const none: Cell = { text: null, number: null, truth: null }
const numbers = [0, 1, -1, 2, 2.5, 10, -0.5, 1000, 0.1, 0.2, 0.3, 9_007_199_254_740_991]
const words = [
  '',
  'a',
  'b',
  'ab',
  'aB',
  'abc',
  'A',
  '%',
  '_',
  'a%',
  '!a',
  'é',
  '\u{1F600}',
  'a\u{1F600}b',
  '\uFFFD',
  '\u{1F600}\uFFFD',
  "it's",
  'x\ny',
  '0x10',
  'NaN',
  '1,5',
  ' 1',
  'Infinity',
  'TRUE',
]

const spelled = fc.constantFrom(...numbers).chain((number) =>
  fc
    .constantFrom(
      ...[
        String(number),
        number.toFixed(2),
        number.toExponential(),
        `${number < 0 ? '' : '+'}${number}`,
        `${number.toFixed(1)}000`,
      ]
        .filter((text) => Math.abs(number) < 1e6 || !text.includes('.'))
        .filter((text) => !text.startsWith('0.1') || number === 0.1),
    )
    .filter((text) => !(number !== 0 && /^[+-]?[0.]+$/.test(text)))
    .map((text): Cell => ({ text, number: spelledValue(number, text), truth: null })),
)
/** toFixed may round: then the text is another of the known numbers, or this one. */
function spelledValue(number: number, text: string): number {
  if (text.includes('e') || !text.includes('.')) return number
  const [whole, part = ''] = text.replace('+', '').split('.') as [string, string?]
  const scaled = BigInt(`${whole.replace('-', '')}${part}`) * (whole.startsWith('-') ? -1n : 1n)
  return Number(scaled) / 10 ** part.length
}
const cell: fc.Arbitrary<Cell> = fc.oneof(
  { weight: 1, arbitrary: fc.constant(none) },
  { weight: 3, arbitrary: spelled },
  { weight: 3, arbitrary: fc.constantFrom(...words).map((text): Cell => ({ text, number: null, truth: null })) },
  { weight: 1, arbitrary: fc.boolean().map((truth): Cell => ({ text: String(truth), number: null, truth })) },
)
const present = cell.filter((each) => each.text !== null)
const number = fc.option(fc.constantFrom(0, 1, 4, 9, 1_700_000_000_000))

/** As selectors write them, with the columns' prefix; a quoted name of an own field is a header. */
const fields = {
  id: 'c_id',
  topic: 'c_topic',
  key: 'c_key',
  tag: 'c_tag',
  h0: 'h_h0',
  h1: 'h_h1',
  '"key"': 'h_key',
  '"a-b"': 'h_ab',
} as const
const headerNames = { h_h0: 'h0', h_h1: 'h1', h_key: 'key', h_ab: 'a-b' } as const
type Column = (typeof fields)[keyof typeof fields]

const row = fc.record({
  c_id: present,
  c_topic: present,
  c_key: cell,
  c_tag: cell,
  h_h0: cell,
  h_h1: cell,
  h_key: cell,
  h_ab: cell,
  priority: number,
  sentAt: number,
}) satisfies fc.Arbitrary<Record<Column, Cell> & { priority: number | null; sentAt: number | null }>
type Row = typeof row extends fc.Arbitrary<infer R> ? R : never

function messageOf(each: Row): Filterable {
  const headers: Record<string, string> = {}
  for (const [column, name] of Object.entries(headerNames)) {
    const { text } = each[column as keyof typeof headerNames]
    if (text !== null) headers[name] = text
  }
  return {
    id: each.c_id.text as string,
    topic: each.c_topic.text as string,
    key: each.c_key.text ?? undefined,
    tag: each.c_tag.text ?? undefined,
    headers,
    priority: each.priority ?? undefined,
    sentAt: each.sentAt ?? undefined,
  }
}

function tableOf(rows: readonly Row[]): DatabaseSync {
  const database = new DatabaseSync(':memory:')
  const columns = Object.values(fields).flatMap((name) => [`${name}_t`, `${name}_n`, `${name}_b`])
  // Without a declared type a column changes no value that is put into it.
  database.exec(`CREATE TABLE m (${[...columns, 'priority', 'sentAt'].join(', ')})`)
  database.exec('PRAGMA case_sensitive_like = ON')
  const insert = database.prepare(`INSERT INTO m VALUES (${'?,'.repeat(columns.length + 1)}?)`)
  for (const each of rows) {
    const values = Object.values(fields).flatMap((name) => [
      each[name].text,
      each[name].number,
      each[name].truth === null ? null : Number(each[name].truth),
    ])
    insert.run(...values, each.priority, each.sentAt)
  }
  return database
}

// ── selectors, written in both languages at once, with no more parentheses than the grammar asks for

interface Written {
  readonly ours: string
  readonly theirs: string
  /** 1 OR, 2 AND, 3 NOT, 4 comparison, 5 sum, 6 product, 7 sign, 8 the rest. */
  readonly level: number
}
const both = (text: string, level = 8): Written => ({ ours: text, theirs: text, level })
function at(level: number, each: Written): Written {
  return each.level >= level ? each : { ours: `(${each.ours})`, theirs: `(${each.theirs})`, level: 8 }
}
function join(level: number, ...parts: readonly (string | Written)[]): Written {
  const write = (side: 'ours' | 'theirs') =>
    parts.map((part) => (typeof part === 'string' ? part : part[side])).join(' ')
  return { ours: write('ours'), theirs: write('theirs'), level }
}
const read = (as: 't' | 'n' | 'b') =>
  fc
    .constantFrom(...(Object.keys(fields) as (keyof typeof fields)[]))
    .map((name): Written => ({ ours: name, theirs: `${fields[name]}_${as}`, level: 8 }))
const own = fc.constantFrom('priority', 'sentAt').map((name) => both(name))
const literal = fc.constantFrom(...numbers.filter((each) => each >= 0)).map(
  (each): Written => ({
    ours: String(each),
    theirs: Number.isInteger(each) ? `${each}.0` : String(each),
    level: 8,
  }),
)
const quoted = (text: string) => `'${text.replaceAll("'", "''")}'`
const string = fc.constantFrom(...words, ...numbers.slice(0, 4).map(String)).map((text) => both(quoted(text)))
const patterns = fc.array(fc.constantFrom('%', '_', 'a', 'b', 'B', '\u{1F600}', '!%', '!_', '!!', 'é', "'"), {
  maxLength: 5,
})
const comparison = fc.constantFrom('=', '<>', '<', '<=', '>', '>=')
const maybeNot = fc.constantFrom('', 'NOT ')

const { condition } = fc.letrec<{ condition: Written; operand: Written }>((tie) => {
  const operand = fc.oneof(
    { maxDepth: 3, withCrossShrink: true },
    fc.oneof(read('n'), literal, own),
    fc
      .tuple(tie('operand'), fc.constantFrom('+', '-'), tie('operand'))
      .map(([a, op, b]) => join(5, at(5, a), op, at(6, b))),
    fc
      .tuple(tie('operand'), fc.constantFrom('*', '/'), tie('operand'))
      .map(([a, op, b]) => join(6, at(6, a), op, at(7, b))),
    tie('operand').map((a) => join(7, '-', at(7, a))),
    tie('operand').map((a) => at(9, a)),
  )
  // A number where one side at least is one: two fields alone are texts.
  const numeric = fc.oneof(
    literal,
    own,
    tie('operand').map((a) => join(6, at(6, a), '*', both('1.0'))),
  )
  const predicate = fc.oneof(
    fc.tuple(tie('operand'), comparison, numeric).map(([a, op, b]) => join(4, at(5, a), op, at(5, b))),
    fc.tuple(numeric, comparison, tie('operand')).map(([a, op, b]) => join(4, at(5, a), op, at(5, b))),
    fc.tuple(read('t'), comparison, fc.oneof(read('t'), string)).map(([a, op, b]) => join(4, a, op, b)),
    fc.tuple(string, comparison, read('t')).map(([a, op, b]) => join(4, a, op, b)),
    fc
      .tuple(read('b'), fc.constantFrom('=', '<>'), fc.constantFrom('TRUE', 'FALSE'))
      .map(([a, op, b]) => join(4, a, op, b)),
    fc
      .tuple(numeric, maybeNot, tie('operand'), tie('operand'))
      .map(([a, not, b, c]) => join(4, at(5, a), `${not}BETWEEN`, at(5, b), 'AND', at(5, c))),
    fc
      .tuple(read('t'), maybeNot, string, fc.oneof(read('t'), string))
      .map(([a, not, b, c]) => join(4, a, `${not}BETWEEN`, b, 'AND', c)),
    fc
      .tuple(
        tie('operand'),
        maybeNot,
        fc.array(fc.tuple(fc.constantFrom('', '-'), literal), { minLength: 1, maxLength: 4 }),
      )
      .map(([a, not, list]) =>
        join(
          4,
          at(5, a),
          `${not}IN (`,
          ...list.flatMap(([sign, each], index) => [index > 0 ? ',' : '', sign, each]),
          ')',
        ),
      ),
    fc
      .tuple(read('t'), maybeNot, fc.array(string, { minLength: 1, maxLength: 4 }))
      .map(([a, not, list]) =>
        join(4, a, `${not}IN (`, ...list.flatMap((each, index) => (index > 0 ? [',', each] : [each])), ')'),
      ),
    fc
      .tuple(read('t'), maybeNot, patterns)
      .map(([a, not, list]) => join(4, a, `${not}LIKE ${quoted(list.join(''))} ESCAPE '!'`)),
    fc.tuple(read('t'), maybeNot, patterns).map(([a, not, list]) => join(4, a, `${not}LIKE ${quoted(list.join(''))}`)),
    fc.tuple(fc.oneof(read('t'), numeric), maybeNot).map(([a, not]) => join(4, at(5, a), `IS ${not}NULL`)),
    read('b'),
    fc.constantFrom('TRUE', 'FALSE').map((text) => both(text)),
  )
  const condition = fc.oneof(
    { maxDepth: 4, withCrossShrink: true },
    predicate,
    fc.tuple(tie('condition'), tie('condition')).map(([a, b]) => join(1, at(1, a), 'OR', at(1, b))),
    fc.tuple(tie('condition'), tie('condition')).map(([a, b]) => join(2, at(2, a), 'AND', at(2, b))),
    tie('condition').map((a) => join(3, 'NOT', at(3, a))),
    tie('condition').map((a) => at(9, a)),
  )
  return { condition, operand }
})

const seed = 92
const rows = fc.sample(row, { numRuns: 250, seed })
const messages = rows.map(messageOf)
const database = tableOf(rows)

test('means the same as SQLite, true, false and unknown', () => {
  const seen = { true: 0, false: 0, unknown: 0 }
  fc.assert(
    fc.property(condition, ({ ours, theirs }) => {
      const holds = evaluation(parseSelector(ours))
      const expected = database.prepare(`SELECT (${theirs}) AS v FROM m ORDER BY rowid`).all()
      expect(expected).toHaveLength(messages.length)
      messages.forEach((message, index) => {
        const value = expected[index]?.['v']
        const wanted = value === null ? null : value !== 0
        const found = holds(message)
        seen[found === null ? 'unknown' : found ? 'true' : 'false'] += 1
        if (found !== wanted)
          throw new Error(
            `${ours}\n${theirs}\n${JSON.stringify(message)}: ${String(found)} here, ${String(wanted)} in SQLite`,
          )
      })
    }),
    { numRuns: 4_000, seed },
  )
  // A property that only ever sees one answer proves nothing.
  for (const count of Object.values(seen)) expect(count).toBeGreaterThan(50_000)
})
