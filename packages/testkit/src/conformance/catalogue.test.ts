import { readdirSync, readFileSync } from 'node:fs'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { capabilityTable } from '../capability-table.ts'
import { chapters, scenarioNamed } from './chapters.ts'
import { differences } from './claims.ts'
import { columnOf, matrixTable } from './matrix.ts'
import { conformancePage } from './page.ts'
import { rules } from './rules.ts'

const scenarios = chapters.flatMap((chapter) => chapter.scenarios)

test('at least 100 scenarios, each with an id of its own and a sentence', () => {
  expect(scenarios.length).toBeGreaterThanOrEqual(100)
  expect(new Set(scenarios.map(({ id }) => id)).size).toBe(scenarios.length)
  for (const { id, says } of scenarios) {
    expect(id).toMatch(/^[a-z-]+\.[a-z0-9-]+$/)
    expect(says.length, id).toBeGreaterThan(15)
  }
})

test('every scenario that may be refused says what must hold then', () => {
  for (const { id, needs, refused } of scenarios) {
    const mayBe = needs?.some((need) => !/^(a cut|a black hole|a kill|a freeze|a foreign client)$/.test(need)) ?? false
    expect(refused !== undefined, id).toBe(mayBe)
  }
})

test('each of the 24 rules is shown by scenarios that exist, or by a named test', () => {
  expect(Object.keys(rules).map(Number)).toEqual(Array.from({ length: 24 }, (_, n) => n + 1))
  for (const [rule, ids] of Object.entries(rules)) {
    expect(ids.length, `rule ${rule}`).toBeGreaterThan(0)
    for (const id of ids) {
      const [, folder, words] = /^(packages\/[a-z]+): (.+)$/.exec(id) ?? []
      if (folder === undefined || words === undefined) expect(scenarioNamed(id), `rule ${rule}: ${id}`).toBeDefined()
      else expect(namesOfTests(folder), `rule ${rule}: ${id}`).toContainEqual(expect.stringContaining(words))
    }
  }
})

/** What the tests of a package are called: what stands in quotes behind `test(` or `it(`. */
function namesOfTests(folder: string): readonly string[] {
  const source = new URL(`../../../../${folder}/src/`, import.meta.url)
  return readdirSync(source, { recursive: true, encoding: 'utf8' })
    .filter((file) => file.endsWith('.test.ts'))
    .flatMap((file) => [...readFileSync(new URL(file, source), 'utf8').matchAll(/\b(?:test|it)\(\s*(['"`])(.+?)\1,/g)])
    .map((match) => match[2] as string)
}

test('a claim that differs from the capability table is named', () => {
  const { memory: row } = capabilityTable
  expect.assert(row !== undefined)
  expect(differences(row, row)).toEqual([])
  expect(differences(row, { ...row, delay: 'none' })).toEqual(['delay: the table says any, the adapter none'])
})

test('the matrix keeps what another harness of the adapter could do, and has a row per scenario', async () => {
  const [first, second] = scenarios
  expect.assert(first !== undefined && second !== undefined)
  const folder = await mkdtemp(join(tmpdir(), 'posthorn-matrix-'))
  const able = columnOf('x')
  able.note(first, { outcome: 'passed' })
  await able.write(folder)
  const unable = columnOf('x')
  unable.note(first, { outcome: 'not possible here', lacks: ['a kill'] })
  unable.note(second, { outcome: 'refused as declared', lacks: ['replay'] })
  await unable.write(folder)
  // Without the umbrella the patterns are refused on every adapter; that says nothing of this one.
  const bare = columnOf('x')
  bare.note(first, { outcome: 'refused as declared', lacks: ['a keeper', 'a store'] })
  await bare.write(folder)
  const x = JSON.parse(await readFile(join(folder, 'x.json'), 'utf8'))
  await rm(folder, { recursive: true })
  expect(x).toEqual({ [first.id]: 'passed', [second.id]: 'refused as declared' })
  expect(matrixTable({ x, a: {} }, [first, second]).split('\n')).toEqual([
    '| scenario | promise | a | x |',
    '|---|---|---|---|',
    `| \`${first.id}\` | ${first.says} | – | passed |`,
    `| \`${second.id}\` | ${second.says} | – | refused as declared |`,
  ])
})

test('the page names every scenario, every rule and what an adapter did', () => {
  const page = conformancePage({ x: { 'settle.twice': 'refused as declared' } })
  for (const { id } of scenarios) expect(page).toContain(`| \`${id}\` |`)
  expect(page).toMatch(/`settle\.twice` \|[^\n]*\| refused \| `[a-z-]+`/)
  expect(page).toContain('| 24 | `ending.rule-24-scope` |')
})
