import { expect, test } from 'vitest'
import { addressBook } from './address-book.ts'

const at = (port: number) => ({ host: 'h', port })
const ports = (all: readonly { readonly port: number }[]): number[] => all.map(({ port }) => port)

test('who did not answer is asked last, the longest silent first among them, and nobody twice', () => {
  const book = addressBook([at(1), at(2)])
  book.learn(7, at(2))
  book.learn(8, at(3))
  expect(ports(book.all()).sort()).toEqual([1, 2, 3])
  const [first, second] = book.all()
  book.silent(first ?? at(0))
  book.silent(second ?? at(0))
  expect(ports(book.all()).slice(1)).toEqual(ports([first ?? at(0), second ?? at(0)]))
})

test('a node that moved is found where it is now; one that is not known is refused without a try', () => {
  const book = addressBook([])
  book.learn(1, at(1))
  book.learn(1, at(2))
  expect(book.of(1)).toEqual(at(2))
  expect(() => book.of(2)).toThrow(/node 2 has no known address/)
})
