import { expect, test } from 'vitest'
import { numbered } from './placeholders.ts'

test('placeholders become numbered parameters, and text that only looks like one stays', () => {
  expect(numbered('SELECT $1, $12')).toBe('SELECT ?1, ?12')
  expect(numbered(`SELECT '$1', "$1", [$1], \`$1\`, $2 -- $1\n/* $1 */ + $1`)).toBe(
    `SELECT '$1', "$1", [$1], \`$1\`, ?2 -- $1\n/* $1 */ + ?1`,
  )
  expect(numbered("SELECT 'it''s $1', $1")).toBe("SELECT 'it''s $1', ?1")
})
