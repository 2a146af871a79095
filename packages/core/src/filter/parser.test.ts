import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { isMessagingError } from '../errors.ts'
import { maxSelectorLength } from './lexer.ts'
import { maxArithmetic, maxDepth, parseSelector } from './parser.ts'

function failure(sql: string): string {
  try {
    parseSelector(sql)
  } catch (error) {
    expect(isMessagingError(error, 'invalid')).toBe(true)
    return (error as Error).message
  }
  throw new Error(`${sql} was accepted`)
}

describe('reads', () => {
  test('chains flat and by rank: NOT before AND before OR', () => {
    const a = (value: string) => ({ kind: 'truth', operand: { kind: 'header', name: value } })
    expect(parseSelector('a OR b AND NOT c AND d OR e')).toEqual({
      kind: 'or',
      terms: [a('a'), { kind: 'and', terms: [a('b'), { kind: 'not', term: a('c') }, a('d')] }, a('e')],
    })
  })

  test('keywords in any case, names in theirs, quoted names as headers', () => {
    expect(parseSelector('key = "key" and KEY is not null')).toEqual({
      kind: 'and',
      terms: [
        {
          kind: 'compare',
          operator: '=',
          as: 'text',
          left: { kind: 'field', name: 'key' },
          right: { kind: 'header', name: 'key' },
        },
        { kind: 'not', term: { kind: 'null', as: 'text', operand: { kind: 'header', name: 'KEY' } } },
      ],
    })
  })

  test('strings and names with their quotes in them, any character, spaces of any kind', () => {
    expect(parseSelector(`\t"a ""b"" é" =\r\n'it''s \u{1F600}'`)).toEqual({
      kind: 'compare',
      operator: '=',
      as: 'text',
      left: { kind: 'header', name: 'a "b" é' },
      right: { kind: 'literal', value: "it's \u{1F600}" },
    })
  })

  test('signs into literals, and sums as numbers', () => {
    expect(parseSelector('-a * 2 - -3 >= +.5e1')).toEqual({
      kind: 'compare',
      operator: '>=',
      as: 'number',
      left: {
        kind: 'arithmetic',
        operator: '-',
        left: {
          kind: 'arithmetic',
          operator: '*',
          left: { kind: 'minus', operand: { kind: 'header', name: 'a' } },
          right: { kind: 'literal', value: 2 },
        },
        right: { kind: 'literal', value: -3 },
      },
      right: { kind: 'literal', value: 5 },
    })
  })

  test('a tree is plain data: it survives JSON', () => {
    const tree = parseSelector(`a BETWEEN 1 AND b + 1 AND c NOT IN ('x', 'y') AND d LIKE 'x!%%' ESCAPE '!' OR NOT e`)
    expect(JSON.parse(JSON.stringify(tree))).toEqual(tree)
  })
})

describe('refuses, saying where and what was expected', () => {
  test.each([
    ['', 'empty'],
    ['  \n', 'empty'],
    ['a', undefined],
    ['a =', 'position 4 of "a ="'],
    ['a = ', 'found the end'],
    ['= 1', "found '='"],
    ['a = b = c', 'AND, OR, ) or the end'],
    ['a = 1 b', 'AND, OR or the end'],
    ['a b', 'AND, OR or the end'],
    ['(a', "expected ')'"],
    ['a)', 'AND, OR or the end'],
    ['a AND', 'found the end'],
    ['a != 1', 'write <>'],
    ['a == 1', 'write ='],
    ['a && b', 'write AND'],
    ['a || b', 'write OR'],
    ['a % 2 = 0', 'no remainder'],
    ['a = 1;', 'semicolon'],
    ['`a` = 1', '"..."'],
    ['é = 1', '"..."'],
    ["a = 'x", "no ' ends"],
    ['"a = 1', 'no " ends'],
    ['"" = 1', 'empty'],
    ['5a = 1', 'neither a number nor a name'],
    ['0x10 = a', 'neither a number nor a name'],
    ['1.2.3 = a', 'neither a number nor a name'],
    ['a = 1e999', 'larger than any number'],
    ['a = 9007199254740993', "write '9007199254740993'"],
    ['a = NULL', 'IS NULL'],
    ['NULL IS NULL', 'IS NULL'],
    ['a IS 5', 'NULL or NOT NULL'],
    ['a IS NOT TRUE', 'expected NULL'],
    ['a = LIKE', 'in quotes: "LIKE"'],
    ['a NOT = 1', 'BETWEEN, IN or LIKE'],
    ['NOT', 'found the end'],
    ['a IN ()', 'found'],
    ['a IN 1', '( after IN'],
    ["a IN ('x'", ', or )'],
    ["a IN ('x', 1)", 'not both'],
    ['a IN (TRUE)', 'strings or numbers'],
    ['a IN (b)', 'strings or numbers'],
    ['a IN (NULL)', 'IS NULL'],
    ['a BETWEEN 1', 'AND of BETWEEN'],
    ["a BETWEEN 1 AND 'x'", 'a text is compared with a number'],
    ['a BETWEEN TRUE AND FALSE', 'no order'],
    ['a LIKE b', 'pattern in single quotes'],
    ['a LIKE 5', 'pattern in single quotes'],
    ["a + 1 LIKE 'x'", 'LIKE takes a text'],
    ["priority LIKE '1%'", '"priority" in double quotes'],
    ["a LIKE 'x' ESCAPE ''", 'exactly one character'],
    ["a LIKE 'x' ESCAPE 'ab'", 'exactly one character'],
    ["a LIKE 'x!y' ESCAPE '!'", 'stands before %'],
    ["a LIKE 'x!' ESCAPE '!'", 'stands before %'],
    ["priority = 'high'", '"priority" in double quotes'],
    ["'x' = 1", 'never true'],
    ['TRUE = 1', 'never true'],
    ['a > TRUE', 'no order'],
    ["a + 'x' > 1", "'+' takes a number"],
    ['a + TRUE > 1', "'+' takes a number"],
    ['-(a > 1) = 1', 'found a condition'],
    ['(a > 1) = TRUE', 'found a condition'],
    ['(a > 1) IS NULL', 'found a condition'],
    ['5', 'takes a boolean'],
    ["'x' AND a", 'takes a boolean'],
    ['a + 1', 'takes a boolean'],
    ['priority', 'takes a boolean'],
    ['a AND 5', '(position 7 of'],
    ["a = '\0'", 'NUL'],
    ["a = '\ud800'", 'surrogate'],
  ])('%j', (sql, wanted) => {
    if (wanted === undefined) expect(() => parseSelector(sql)).not.toThrow()
    else expect(failure(sql)).toContain(wanted)
  })

  test('what is too long, too deep or too much', () => {
    expect(failure(`a = '${'x'.repeat(maxSelectorLength)}'`)).toContain('characters long')
    const deep = (depth: number) => `${'('.repeat(depth)}a${')'.repeat(depth)}`
    expect(() => parseSelector(deep(maxDepth))).not.toThrow()
    expect(failure(deep(maxDepth + 1))).toContain('nested deeper')
    expect(failure('('.repeat(maxSelectorLength))).toContain('nested deeper')
    expect(failure(`${'NOT '.repeat(maxDepth + 1)}a`)).toContain('nested deeper')
    expect(failure(`${'-'.repeat(maxDepth + 1)}1 = a`)).toContain('nested deeper')
    expect(() => parseSelector(`a${'+a'.repeat(maxArithmetic)} > 1`)).not.toThrow()
    expect(failure(`a${'+a'.repeat(maxArithmetic + 1)} > 1`)).toContain('more than')
    expect(() => parseSelector(`a${' OR a'.repeat(1_500)}`)).not.toThrow()
  })

  test('shows only the surroundings, with control characters escaped', () => {
    const message = failure(`${'a OR '.repeat(100)}\n\u001b[31m ${' OR a'.repeat(100)}`)
    expect(message.length).toBeLessThan(250)
    // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what must not be there
    expect(message).not.toMatch(/[\u0000-\u001f]/)
  })
})

test('whatever it is given, it answers or refuses, never anything else', () => {
  const piece = fc.oneof(
    fc.constantFrom(
      'a',
      'key',
      '"b"',
      "'x'",
      '1',
      '2.5',
      '(',
      ')',
      ',',
      '=',
      '<>',
      '<',
      '+',
      '-',
      '*',
      '/',
      'AND',
      'OR',
      'NOT',
      'IN',
      'LIKE',
      'ESCAPE',
      'BETWEEN',
      'IS',
      'NULL',
      'TRUE',
    ),
    fc.string({ maxLength: 3, unit: 'binary' }),
  )
  fc.assert(
    fc.property(fc.array(piece, { maxLength: 25 }), (pieces) => {
      try {
        expect(parseSelector(pieces.join(' '))).toBeTypeOf('object')
      } catch (error) {
        if (!isMessagingError(error, 'invalid')) throw error
        expect(error.message).toMatch(/^filter\.sql: /)
      }
    }),
    { seed: 1, numRuns: 20_000 },
  )
})
