import { readdirSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { expect, it } from 'vitest'

const root = new URL('../../../', import.meta.url)
const text = (path: string): string => readFileSync(new URL(path, root), 'utf8')

it('every invariant of a pattern names tests and scenarios that exist', () => {
  const rows = text('docs/reference/invariants.md')
    .split('\n')
    .filter((line) => line.startsWith('| ') && !line.startsWith('| pattern'))
  expect(rows.length).toBeGreaterThan(25)
  const folder = new URL('packages/testkit/src/conformance/', root)
  const scenarios = new Set(
    ['broker', 'seam']
      .flatMap((layer) =>
        readdirSync(new URL(layer, folder)).flatMap((file) => [
          ...readFileSync(fileURLToPath(new URL(`${layer}/${file}`, folder)), 'utf8').matchAll(/ id: '([^']+)'/g),
        ]),
      )
      .map((match) => match[1]),
  )
  const missing: string[] = []
  for (const row of rows) {
    const [, pattern, , shown = ''] = row.split('|').map((cell) => cell.trim())
    const each = shown.split('; ')
    expect(each.length, pattern).toBeGreaterThan(0)
    for (const one of each) {
      const test = /^`([^`]+\.test\.ts)` › (.+)$/.exec(one)
      if (test !== null) {
        if (!text(test[1] as string).includes(test[2] as string)) missing.push(one)
      } else if (!scenarios.has(one.replaceAll('`', ''))) missing.push(one)
    }
  }
  expect(missing).toEqual([])
})
