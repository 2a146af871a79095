// SQL92's search condition, as message selectors have it, by recursive descent. docs/reference/filters.md is its description.
import type { Comparison, Condition, Operand, OwnField } from './condition.ts'
import { refuse, type Token, tokens } from './lexer.ts'
import { escapeFault } from './like.ts'
import { demand, ordered, ownFields, type Placed, shared } from './reading.ts'

/** Deepest nesting of parentheses, NOT and signs. */
export const maxDepth = 64
/** Most + - * / in one selector. */
export const maxArithmetic = 256

type Node = Placed | { readonly condition: Condition; readonly at: number }

interface Reader {
  readonly source: string
  readonly list: readonly Token[]
  at: number
  depth: number
  arithmetic: number
}

/** Words of the language itself; a header of such a name stands in quotes. */
export const keywords: ReadonlySet<string> = new Set([
  'AND',
  'OR',
  'NOT',
  'LIKE',
  'ESCAPE',
  'BETWEEN',
  'IN',
  'IS',
  'NULL',
  'TRUE',
  'FALSE',
])
const comparisons: ReadonlySet<string> = new Set(['=', '<>', '<', '<=', '>', '>='] satisfies Comparison[])

/** Reads a selector; throws `invalid` with the position and what was expected there. */
export function parseSelector(source: string): Condition {
  const reader: Reader = { source, list: tokens(source), at: 0, depth: 0, arithmetic: 0 }
  if (peek(reader).kind === 'end') throw refuse(source, 1, 'the filter is empty; leave it out to take every message')
  const condition = conditionOf(reader, disjunction(reader), 'a filter')
  if (peek(reader).kind !== 'end') throw unexpected(reader, 'AND, OR or the end')
  return condition
}

// ── tokens

function peek(reader: Reader): Token {
  return reader.list[reader.at] as Token
}

function unexpected(reader: Reader, wanted: string): Error {
  const token = peek(reader)
  const found = token.kind === 'end' ? 'the end' : token.kind === 'text' ? 'a string' : `'${token.text}'`
  return refuse(reader.source, token.at, `expected ${wanted}, found ${found}`)
}

/** Takes the next token if it is this symbol or keyword. */
function take(reader: Reader, text: string): boolean {
  const token = peek(reader)
  const same =
    token.kind === 'symbol' ? token.text === text : token.kind === 'word' && token.text.toUpperCase() === text
  if (same) reader.at += 1
  return same
}

function need(reader: Reader, text: string, wanted = text): void {
  if (!take(reader, text)) throw unexpected(reader, wanted)
}

function needText(reader: Reader, wanted: string): Token {
  const token = peek(reader)
  if (token.kind !== 'text') throw unexpected(reader, wanted)
  reader.at += 1
  return token
}

function nested<T>(reader: Reader, read: () => T): T {
  if (reader.depth >= maxDepth)
    throw refuse(reader.source, peek(reader).at, `nested deeper than ${maxDepth} parentheses, NOTs and signs`)
  reader.depth += 1
  const result = read()
  reader.depth -= 1
  return result
}

// ── conditions

function disjunction(reader: Reader): Node {
  return chain(reader, 'OR', 'or', conjunction)
}

function conjunction(reader: Reader): Node {
  return chain(reader, 'AND', 'and', negation)
}

/** Long chains stay flat, so that only nesting costs stack. */
function chain(reader: Reader, keyword: string, kind: 'and' | 'or', read: (reader: Reader) => Node): Node {
  const first = read(reader)
  if (!take(reader, keyword)) return first
  const terms = [conditionOf(reader, first, keyword)]
  do terms.push(conditionOf(reader, read(reader), keyword))
  while (take(reader, keyword))
  return { condition: { kind, terms }, at: first.at }
}

function negation(reader: Reader): Node {
  const { at } = peek(reader)
  if (!take(reader, 'NOT')) return predicate(reader)
  const term = nested(reader, () => conditionOf(reader, negation(reader), 'NOT'))
  return { condition: { kind: 'not', term }, at }
}

function conditionOf(reader: Reader, node: Node, where: string): Condition {
  if ('condition' in node) return node.condition
  demand(reader.source, node, 'boolean', where)
  return { kind: 'truth', operand: node.operand }
}

function operandOf(reader: Reader, node: Node, wanted: string): Placed {
  if ('condition' in node) throw refuse(reader.source, node.at, `expected ${wanted}, found a condition`)
  return node
}

function predicate(reader: Reader): Node {
  const first = sum(reader)
  const token = peek(reader)
  if (token.kind === 'symbol' && comparisons.has(token.text)) {
    const left = operandOf(reader, first, `a value before '${token.text}'`)
    reader.at += 1
    const right = operandOf(reader, sum(reader), `a value after '${token.text}'`)
    const operator = token.text as Comparison
    const as = shared(reader.source, left, right)
    ordered(reader.source, token.at, operator, as)
    return single(reader, {
      condition: { kind: 'compare', operator, as, left: left.operand, right: right.operand },
      at: first.at,
    })
  }
  if (take(reader, 'IS')) {
    const negated = take(reader, 'NOT')
    need(reader, 'NULL', negated ? 'NULL' : 'NULL or NOT NULL')
    const { operand } = operandOf(reader, first, 'a value before IS')
    const as = shared(reader.source, { operand, at: first.at })
    return single(reader, negate({ kind: 'null', as, operand }, negated, first.at))
  }
  const negated = take(reader, 'NOT')
  const condition = range(reader, first) ?? membership(reader, first) ?? likeness(reader, first)
  if (condition !== undefined) return single(reader, negate(condition, negated, first.at))
  if (negated) throw unexpected(reader, 'BETWEEN, IN or LIKE')
  return first
}

function negate(condition: Condition, negated: boolean, at: number): Node {
  return { condition: negated ? { kind: 'not', term: condition } : condition, at }
}

/** SQL would read `a = b = c` as a comparison of a truth; nobody means that. */
function single(reader: Reader, node: Node): Node {
  const token = peek(reader)
  const more =
    token.kind === 'symbol'
      ? comparisons.has(token.text)
      : token.kind === 'word' && /^(?:IS|NOT|IN|LIKE|BETWEEN)$/i.test(token.text)
  if (more) throw unexpected(reader, 'AND, OR, ) or the end')
  return node
}

function range(reader: Reader, first: Node): Condition | undefined {
  if (!take(reader, 'BETWEEN')) return undefined
  const value = operandOf(reader, first, 'a value before BETWEEN')
  const low = operandOf(reader, sum(reader), 'a value after BETWEEN')
  need(reader, 'AND', 'AND of BETWEEN')
  const high = operandOf(reader, sum(reader), 'a value after AND of BETWEEN')
  const as = shared(reader.source, value, low, high)
  if (as === 'boolean') throw refuse(reader.source, low.at, 'TRUE and FALSE have no order, so nothing is BETWEEN them')
  return { kind: 'between', as, operand: value.operand, low: low.operand, high: high.operand }
}

function membership(reader: Reader, first: Node): Condition | undefined {
  if (!take(reader, 'IN')) return undefined
  const { operand, at } = operandOf(reader, first, 'a value before IN')
  need(reader, '(', '( after IN')
  const texts: string[] = []
  const numbers: number[] = []
  do {
    const { at } = peek(reader)
    const item = operandOf(reader, sign(reader), 'a string or a number in the list').operand
    if (item.kind !== 'literal' || typeof item.value === 'boolean')
      throw refuse(reader.source, at, 'a list after IN holds strings or numbers alone')
    if (typeof item.value === 'string') texts.push(item.value)
    else numbers.push(item.value)
    if (texts.length > 0 && numbers.length > 0)
      throw refuse(reader.source, at, 'a list after IN holds strings or numbers, not both; part it by OR')
  } while (take(reader, ','))
  need(reader, ')', ', or )')
  const as = texts.length > 0 ? 'text' : 'number'
  demand(reader.source, { operand, at }, as, `IN with ${as === 'text' ? 'strings' : 'numbers'}`)
  return as === 'text' ? { kind: 'in', as, operand, values: texts } : { kind: 'in', as, operand, values: numbers }
}

function likeness(reader: Reader, first: Node): Condition | undefined {
  if (!take(reader, 'LIKE')) return undefined
  const value = operandOf(reader, first, 'a value before LIKE')
  demand(reader.source, value, 'text', 'LIKE')
  const pattern = needText(reader, 'a pattern in single quotes after LIKE')
  if (!take(reader, 'ESCAPE')) return { kind: 'like', operand: value.operand, pattern: pattern.text, escape: undefined }
  const by = needText(reader, 'a character in single quotes after ESCAPE')
  if ([...by.text].length !== 1) throw refuse(reader.source, by.at, 'ESCAPE takes exactly one character')
  const fault = escapeFault(pattern.text, by.text)
  if (fault !== undefined) throw refuse(reader.source, pattern.at, fault)
  return { kind: 'like', operand: value.operand, pattern: pattern.text, escape: by.text }
}

// ── operands

function sum(reader: Reader): Node {
  return arithmetic(reader, ['+', '-'], product)
}

function product(reader: Reader): Node {
  return arithmetic(reader, ['*', '/'], sign)
}

function arithmetic(
  reader: Reader,
  operators: readonly ('+' | '-' | '*' | '/')[],
  read: (reader: Reader) => Node,
): Node {
  let left = read(reader)
  for (;;) {
    const operator = operators.find((each) => take(reader, each))
    if (operator === undefined) return left
    reader.arithmetic += 1
    if (reader.arithmetic > maxArithmetic)
      throw refuse(reader.source, peek(reader).at, `more than ${maxArithmetic} times + - * /`)
    const from = operandOf(reader, left, `a number before '${operator}'`)
    const to = operandOf(reader, read(reader), `a number after '${operator}'`)
    demand(reader.source, from, 'number', `'${operator}'`)
    demand(reader.source, to, 'number', `'${operator}'`)
    left = { operand: { kind: 'arithmetic', operator, left: from.operand, right: to.operand }, at: left.at }
  }
}

function sign(reader: Reader): Node {
  const { at, text } = peek(reader)
  if (!take(reader, '-') && !take(reader, '+')) return primary(reader)
  const placed = nested(reader, () => operandOf(reader, sign(reader), `a number after '${text}'`))
  demand(reader.source, placed, 'number', `'${text}'`)
  const { operand } = placed
  if (operand.kind === 'literal' && typeof operand.value === 'number')
    return { operand: { kind: 'literal', value: text === '-' ? -operand.value : operand.value }, at }
  // A plus makes a field a number, as -(-field) would.
  const minus: Operand = { kind: 'minus', operand }
  return { operand: text === '-' ? minus : { kind: 'minus', operand: minus }, at }
}

function primary(reader: Reader): Node {
  const token = peek(reader)
  const { at } = token
  if (take(reader, '(')) {
    const inner = nested(reader, () => disjunction(reader))
    need(reader, ')', "')'")
    return { ...inner, at }
  }
  const operand = operandAt(reader, token)
  reader.at += 1
  return { operand, at }
}

function operandAt(reader: Reader, token: Token): Operand {
  if (token.kind === 'text') return { kind: 'literal', value: token.text }
  if (token.kind === 'number') return { kind: 'literal', value: numberOf(reader, token) }
  if (token.kind === 'name') return { kind: 'header', name: token.text }
  if (token.kind !== 'word') throw unexpected(reader, 'a name, a string, a number or (')
  const keyword = token.text.toUpperCase()
  if (keyword === 'TRUE' || keyword === 'FALSE') return { kind: 'literal', value: keyword === 'TRUE' }
  if (keyword === 'NULL') throw unexpected(reader, 'a value (test for absence with IS NULL)')
  if (keywords.has(keyword))
    throw unexpected(reader, `a value (a header of this name stands in quotes: "${token.text}")`)
  if (Object.hasOwn(ownFields, token.text)) return { kind: 'field', name: token.text as OwnField }
  return { kind: 'header', name: token.text }
}

function numberOf(reader: Reader, token: Token): number {
  const value = Number(token.text)
  if (!Number.isFinite(value)) throw refuse(reader.source, token.at, `${token.text} is larger than any number here`)
  if (Number.isInteger(value) && !Number.isSafeInteger(value) && /^\d+$/.test(token.text))
    throw refuse(
      reader.source,
      token.at,
      `${token.text} is past 2^53 and would be rounded; write '${token.text}' to compare as text`,
    )
  return value
}
