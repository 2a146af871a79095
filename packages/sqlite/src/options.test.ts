import { DatabaseSync } from 'node:sqlite'
import { expect, test } from 'vitest'
import { freshPath } from '../test/stage.ts'
import { fromUrl, sqlite } from './index.ts'
import { optionsFromUrl, settingsOf } from './options.ts'

test('URLs name a file from here or from the root, with options as parameters', () => {
  expect(optionsFromUrl('sqlite:./data/app.db')).toEqual({ path: './data/app.db' })
  expect(optionsFromUrl('sqlite:app.db')).toEqual({ path: 'app.db' })
  expect(optionsFromUrl('sqlite:/srv/a%20b.db')).toEqual({ path: '/srv/a b.db' })
  expect(optionsFromUrl('sqlite:./%C3%BC%20%3F%23%25.db')).toEqual({ path: './ü ?#%.db' })
  expect(optionsFromUrl('sqlite:///srv/app.db?synchronous=normal&leaseMs=5000')).toEqual({
    path: '/srv/app.db',
    synchronous: 'normal',
    leaseMs: 5_000,
  })
})

test.each([
  ['sqlite:', /name a file/],
  ['sqlite:./a#1.db', /write # as %23/],
  ['sqlite:file:a.db', /without file:/],
  ['sqlite:./a.db?sync=off', /no parameter "sync".*synchronous/],
  ['sqlite:./a.db?leaseMs=1&leaseMs=2', /twice/],
  ['sqlite://host/a.db', /no host/],
  ['sqlite:%zz.db', /two hex digits/],
  ['sqlite::memory:', /one connection alone/],
  ['sqlite:./a.db?synchronous=off', /'full' or 'normal'/],
  ['sqlite:./a.db?leaseMs=soon', /leaseMs: NaN/],
])('%s is refused with what to do', (url, why) => {
  expect(() => fromUrl(url)).toThrow(why)
})

test('options are checked by name', () => {
  expect(() => sqlite({ path: 'a.db', wal: true } as never)).toThrow(/no such option.*path/)
  expect(() => sqlite({})).toThrow(/give a path/)
  expect(() => sqlite('sqlite:./app.db')).toThrow(/without sqlite:; a URL by itself is for connect\(\)/)
  expect(settingsOf('a.db').synchronous).toBe('full')
})

test("the user's own handle gives its file, and one in memory is refused", () => {
  const path = freshPath()
  const database = new DatabaseSync(path)
  expect(settingsOf({ database }).path).toBe(path)
  expect(() => settingsOf({ database, path })).toThrow(/one of them/)
  database.close()
  expect(() => settingsOf({ database })).toThrow(/closed/)
  expect(() => settingsOf({ database: new DatabaseSync(':memory:') })).toThrow(/in memory/)
})
