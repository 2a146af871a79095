import { expect, test } from 'vitest'
import { repeats, type Source } from './repeats.ts'

const lines = (count: number, word = 'step'): string =>
  Array.from({ length: count }, (_, index) => `${word}(${index})`).join('\n')
const source = (name: string, text: string): Source => ({ package: name, path: `packages/${name}/src/index.ts`, text })

test('as many equal lines as the bound are found, at their places, once', () => {
  const found = repeats([source('a', `first()\n${lines(15)}\nlast()`), source('b', `other()\nmore()\n${lines(15)}`)])
  expect(found).toEqual(['15 lines of packages/a/src/index.ts:2 stand again in packages/b/src/index.ts:3'])
})

test('a longer run is one finding with its whole length', () => {
  expect(repeats([source('a', lines(40)), source('b', lines(40))])).toEqual([
    '40 lines of packages/a/src/index.ts:1 stand again in packages/b/src/index.ts:1',
  ])
})

test('blanks, comments and indentation do not hide it', () => {
  const spread = lines(15).replaceAll('\n', '\n\n  // why\n    ')
  expect(repeats([source('a', lines(15)), source('b', spread)])).toHaveLength(1)
})

test('one line less is fine', () => {
  expect(repeats([source('a', lines(14)), source('b', lines(14))])).toEqual([])
})

test('within one package it is not asked', () => {
  expect(repeats([source('a', lines(20)), source('a', lines(20))])).toEqual([])
})

test('imports, re-exports and bare field types do not count', () => {
  const imports = `import {\n${lines(20, '  a')}\n} from './x.ts'\nexport {\n${lines(20, '  b')}\n} from './y.ts'`
  const fields = Array.from({ length: 20 }, (_, index) => `  readonly field${index}: string | undefined`).join('\n')
  const text = `${imports}\n${fields}\n`
  expect(repeats([source('a', text), source('b', text)])).toEqual([])
})
