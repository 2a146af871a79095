// `node --conditions=posthorn:source packages/testkit/src/conformance/page.ts` writes docs/reference/conformance.md from evidence/matrix.
import { readdir, readFile, writeFile } from 'node:fs/promises'
import { chapters } from './chapters.ts'
import { faceDefects } from './face-defects.ts'
import { killers } from './killers.ts'
import type { Column } from './matrix.ts'
import { rules } from './rules.ts'
import { nameOf, seeds } from './seeded.ts'
import { storeDefects } from './store-defects.ts'
import { foundWithoutHistory } from './without-history.ts'

const signs: Readonly<Record<string, string>> = {
  passed: 'passed',
  'refused as declared': 'refused',
  'not possible here': '–',
  failed: '**failed**',
}

/** Every scenario with its promise, what each adapter did, and the seeded defects that it finds. */
export function conformancePage(columns: Readonly<Record<string, Column>>): string {
  const adapters = Object.keys(columns)
  const finds = new Map<string, string[]>()
  for (const [defect, { own = [], always = [], once = [] }] of Object.entries(killers))
    for (const id of [...own, ...always, ...once]) finds.set(id, [...(finds.get(id) ?? []), `\`${defect}\``])
  for (const [defect, { found }] of Object.entries({ ...storeDefects, ...faceDefects }))
    for (const id of found) finds.set(id, [...(finds.get(id) ?? []), `\`${defect}\``])
  for (const [id, defect] of Object.entries(foundWithoutHistory))
    finds.set(id, [...(finds.get(id) ?? []), `\`${defect}\``])
  for (const set of Object.values(seeds))
    for (const [id, seed] of Object.entries(set)) finds.set(id, [...(finds.get(id) ?? []), `\`${nameOf(seed)}\``])
  const count = chapters.reduce((sum, { scenarios }) => sum + scenarios.length, 0)
  const row = (cells: readonly string[]): string => `| ${cells.join(' | ')} |`
  const sections = chapters.flatMap(({ layer, name, scenarios }) => [
    '',
    `## ${layer}: ${name}`,
    '',
    row(['scenario', 'promise', ...adapters, 'finds']),
    `|${'---|'.repeat(adapters.length + 3)}`,
    ...scenarios.map(({ id, says }) =>
      row([
        `\`${id}\``,
        says.replaceAll('|', '\\|'),
        ...adapters.map((each) => signs[columns[each]?.[id] ?? ''] ?? '–'),
        (finds.get(id) ?? []).join(' '),
      ]),
    ),
  ])
  return [
    '# The conformance suite',
    '',
    `${count} scenarios hold every adapter to the same meaning, against its real broker. \`seam\` scenarios talk to a driver as core does, \`broker\` scenarios to`,
    'the public face as a user does. *refused*: the adapter does not claim it, and the suite has checked that it is refused. *–*: no run had such a fault or',
    `client at hand. The last column names seeded defects that make the scenario fail: ${finds.size} scenarios are shown to find at least one.`,
    '',
    '```sh',
    'POSTHORN_MATRIX=evidence/matrix pnpm test sqlite      # one file per adapter',
    'node --conditions=posthorn:source packages/testkit/src/conformance/page.ts',
    '```',
    '',
    '## The rules by number',
    '',
    '| rule | shown by |',
    '|---|---|',
    ...Object.entries(rules).map(([rule, ids]) =>
      row([rule, ids.map((id) => (id.includes(' ') ? id : `\`${id}\``)).join(', ')]),
    ),
    ...sections,
    '',
  ].join('\n')
}

if (import.meta.main) {
  const root = new URL('../../../../', import.meta.url)
  const folder = new URL('evidence/matrix/', root)
  const files = (await readdir(folder)).filter((name) => name.endsWith('.json')).sort()
  const columns: Record<string, Column> = {}
  for (const name of files)
    columns[name.slice(0, -'.json'.length)] = JSON.parse(await readFile(new URL(name, folder), 'utf8'))
  await writeFile(new URL('docs/reference/conformance.md', root), conformancePage(columns))
}
