// A condition as closures, made once; per message they read, compare, and allocate nothing. `null` is unknown.

import type { MessageHeaders } from '../face/messages.ts'
import type { Comparison, Condition, Operand } from './condition.ts'
import { decimal } from './decimal.ts'
import { like } from './like.ts'
import { compareText } from './text-order.ts'

/** What a filter sees of a message; every envelope fits. */
export interface Filterable {
  readonly id: string
  readonly topic: string
  readonly key: string | undefined
  readonly tag: string | undefined
  readonly headers: MessageHeaders
  /** 0 to 9. */
  readonly priority: number | undefined
  /** Epoch ms. */
  readonly sentAt: number | undefined
}

type Of<T> = (message: Filterable) => T | null
type Truth = Of<boolean>

/** True, false, or `null` where SQL says unknown. */
export function evaluation(condition: Condition): (message: Filterable) => boolean | null {
  switch (condition.kind) {
    case 'and':
      return junction(condition.terms.map(evaluation), false)
    case 'or':
      return junction(condition.terms.map(evaluation), true)
    case 'not':
      return not(evaluation(condition.term))
    case 'truth':
      return truthOf(condition.operand)
    case 'compare':
      return comparison(condition)
    case 'between':
      return condition.as === 'number'
        ? between(numberOf(condition.operand), numberOf(condition.low), numberOf(condition.high), compareNumber)
        : between(textOf(condition.operand), textOf(condition.low), textOf(condition.high), compareText)
    case 'in':
      return condition.as === 'number'
        ? member(numberOf(condition.operand), new Set(condition.values))
        : member(textOf(condition.operand), new Set(condition.values))
    case 'like': {
      const text = textOf(condition.operand)
      const matches = like(condition.pattern, condition.escape)
      return (message) => {
        const value = text(message)
        return value === null ? null : matches(value)
      }
    }
    case 'null': {
      const read = reader(condition.operand, condition.as)
      return (message) => read(message) === null
    }
  }
}

/** AND ends at the first false, OR at the first true (`end`); unknown goes on, for the rest may decide. */
function junction(terms: readonly Truth[], end: boolean): Truth {
  const [first, second] = terms as [Truth, Truth]
  if (terms.length === 2)
    return (message) => {
      const a = first(message)
      if (a === end) return end
      const b = second(message)
      return b === end ? end : a === null || b === null ? null : !end
    }
  return (message) => {
    let result: boolean | null = !end
    for (const term of terms) {
      const value = term(message)
      if (value === end) return end
      if (value === null) result = null
    }
    return result
  }
}

function not(term: Truth): Truth {
  return (message) => {
    const value = term(message)
    return value === null ? null : !value
  }
}

function comparison(condition: Extract<Condition, { kind: 'compare' }>): Truth {
  const { operator, as, left, right } = condition
  const equality = operator === '=' || operator === '<>'
  if (equality) return equal(reader(left, as), reader(right, as), operator === '=')
  return as === 'number'
    ? compared(numberOf(left), numberOf(right), ordersOfNumbers[operator])
    : compared(textOf(left), textOf(right), ordersOfTexts[operator])
}

type Order<T> = Readonly<Record<Exclude<Comparison, '=' | '<>'>, (a: T, b: T) => boolean>>
const ordersOfNumbers: Order<number> = {
  '<': (a, b) => a < b,
  '<=': (a, b) => a <= b,
  '>': (a, b) => a > b,
  '>=': (a, b) => a >= b,
}
const ordersOfTexts: Order<string> = {
  '<': (a, b) => compareText(a, b) < 0,
  '<=': (a, b) => compareText(a, b) <= 0,
  '>': (a, b) => compareText(a, b) > 0,
  '>=': (a, b) => compareText(a, b) >= 0,
}

function equal<T>(left: Of<T>, right: Of<T>, wanted: boolean): Truth {
  return (message) => {
    const a = left(message)
    if (a === null) return null
    const b = right(message)
    return b === null ? null : (a === b) === wanted
  }
}

function compared<T>(left: Of<T>, right: Of<T>, holds: (a: T, b: T) => boolean): Truth {
  return (message) => {
    const a = left(message)
    if (a === null) return null
    const b = right(message)
    return b === null ? null : holds(a, b)
  }
}

/** As `operand >= low AND operand <= high`: false if one half is false, though the other be unknown. */
function between<T>(operand: Of<T>, low: Of<T>, high: Of<T>, order: (a: T, b: T) => number): Truth {
  return (message) => {
    const value = operand(message)
    if (value === null) return null
    const from = low(message)
    if (from !== null && order(value, from) < 0) return false
    const to = high(message)
    if (to !== null && order(value, to) > 0) return false
    return from === null || to === null ? null : true
  }
}

function compareNumber(a: number, b: number): number {
  return a - b
}

function member<T>(operand: Of<T>, values: ReadonlySet<T>): Truth {
  return (message) => {
    const value = operand(message)
    return value === null ? null : values.has(value)
  }
}

// ── operands

function reader(operand: Operand, as: 'text' | 'number' | 'boolean'): Of<string | number | boolean> {
  return as === 'text' ? textOf(operand) : as === 'number' ? numberOf(operand) : truthOf(operand)
}

/** Never a number or a condition: the parser has refused them here. */
function textOf(operand: Operand): Of<string> {
  if (operand.kind === 'header') {
    const { name } = operand
    // What is no string is absent: a plain object answers to 'constructor', too.
    return (message) => {
      const value = message.headers[name]
      return typeof value === 'string' ? value : null
    }
  }
  if (operand.kind === 'field')
    switch (operand.name) {
      case 'id':
        return (message) => message.id
      case 'topic':
        return (message) => message.topic
      case 'key':
        return (message) => message.key ?? null
      case 'tag':
        return (message) => message.tag ?? null
    }
  const text = operand.kind === 'literal' && typeof operand.value === 'string' ? operand.value : null
  return () => text
}

function numberOf(operand: Operand): Of<number> {
  switch (operand.kind) {
    case 'literal': {
      const value = operand.value as number
      return () => value
    }
    case 'minus': {
      const inner = numberOf(operand.operand)
      return (message) => {
        const value = inner(message)
        return value === null ? null : -value
      }
    }
    case 'arithmetic':
      return arithmetic(operand)
    case 'field':
      if (operand.name === 'priority') return (message) => message.priority ?? null
      if (operand.name === 'sentAt') return (message) => message.sentAt ?? null
  }
  const text = textOf(operand)
  return (message) => {
    const value = text(message)
    return value === null ? null : decimal(value)
  }
}

const operations: Readonly<Record<'+' | '-' | '*' | '/', (a: number, b: number) => number>> = {
  '+': (a, b) => a + b,
  '-': (a, b) => a - b,
  '*': (a, b) => a * b,
  '/': (a, b) => a / b,
}

/** What no double holds (a division by 0, an overflow) is unknown. */
function arithmetic(operand: Extract<Operand, { kind: 'arithmetic' }>): Of<number> {
  const left = numberOf(operand.left)
  const right = numberOf(operand.right)
  const operation = operations[operand.operator]
  return (message) => {
    const a = left(message)
    if (a === null) return null
    const b = right(message)
    if (b === null) return null
    const result = operation(a, b)
    return Number.isFinite(result) ? result : null
  }
}

function truthOf(operand: Operand): Truth {
  if (operand.kind === 'literal') {
    const value = operand.value as boolean
    return () => value
  }
  const text = textOf(operand)
  return (message) => {
    const value = text(message)
    return value === 'true' ? true : value === 'false' ? false : null
  }
}
