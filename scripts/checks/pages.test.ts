import { expect, test } from 'vitest'
import { bothWays, rowsOf } from './pages.ts'

const page = rowsOf(
  ['| code | retryable | what |', '|---|---|---|', '| `gone` | no | not there |', '| `busy` | yes | a \\| b |'].join(
    '\n',
  ),
)

test('rows are read by their first cell', () => {
  expect([...page]).toEqual([
    ['gone', ['no', 'not there']],
    ['busy', ['yes', 'a | b']],
  ])
})

test('equal tables agree; further cells are free', () => {
  expect(
    bothWays(
      page,
      new Map([
        ['gone', ['no']],
        ['busy', ['yes']],
      ]),
    ),
  ).toEqual([])
})

test('what only the source has, and what only the page has, are named', () => {
  expect(
    bothWays(
      page,
      new Map([
        ['gone', ['no']],
        ['new', ['yes']],
      ]),
    ),
  ).toEqual(['the page lacks a row: | `new` | yes |', '`busy` is on the page and not in the source'])
})

test('a cell that differs is named', () => {
  expect(
    bothWays(
      page,
      new Map([
        ['gone', ['yes']],
        ['busy', ['yes']],
      ]),
    ),
  ).toEqual(['`gone`: the page says no, the source yes'])
})

test('an empty cell is named', () => {
  expect(bothWays(rowsOf('| `a` | yes |  |'), new Map([['a', ['yes']]]))).toEqual(['`a` has an empty cell'])
})
