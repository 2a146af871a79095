// ARCHITECTURE.md is read first: what it names must be there, and nothing that is there may be left out.
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { basename, join } from 'node:path'
import { expect, test } from 'vitest'
import { checkout } from '../brokers/places.ts'

const page = readFileSync(join(checkout, 'ARCHITECTURE.md'), 'utf8')
const rooms = page
  .split('\n')
  .filter((line) => line.startsWith('| `'))
  .map((line) => line.split('|').map((cell) => cell.trim()))
  .map(([, where = '', what = '']) => ({ where: words(where), what: words(what) }))

function words(cell: string): readonly string[] {
  return [...cell.matchAll(/`([^`]+)`/g)].map(([, word]) => word as string)
}
const places = rooms.flatMap(({ where }) => where)
const packages = readdirSync(join(checkout, 'packages'))

test('every room is a folder or a file that is there', () => {
  expect(places.length).toBeGreaterThan(15)
  // A second folder of a row may be named by its last name alone.
  const parents = rooms.flatMap(({ where: [first = '', ...more] }) => [
    first,
    ...more.map((each) => (existsSync(join(checkout, each)) ? each : join(first, '..', each))),
  ])
  expect(parents.filter((place) => !existsSync(join(checkout, place)))).toEqual([])
})

test('what is in a room of core is a file of it, in letters as it is called', () => {
  for (const {
    where: [room = ''],
    what,
  } of rooms.filter(({ where }) => where[0]?.startsWith('packages/core/') ?? false)) {
    const files = readdirSync(join(checkout, room)).map((file) => basename(file, '.ts'))
    const missing = what.map((word) => basename(word, '.ts')).filter((word) => ![...files, ...packages].includes(word))
    expect(missing, room).toEqual([])
  }
})

test('every package, every folder of core and of the scripts has its room', () => {
  const inside = (folder: string): readonly string[] =>
    readdirSync(join(checkout, folder), { withFileTypes: true })
      .filter((each) => each.isDirectory() && each.name !== 'node_modules')
      .map(({ name }) => join(folder, name))
  const named = (folder: string): boolean =>
    places.some((place) => place === folder || place === basename(folder) || place.startsWith(`${folder}/`))
  expect(
    [...inside('packages'), ...inside('packages/core/src'), ...inside('scripts')].filter((each) => !named(each)),
  ).toEqual([])
})
