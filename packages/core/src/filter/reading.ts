// How operands may be read, settled before the first message: a comparison that can never hold is an error, not a silent no.
import type { Comparison, Operand, OwnField, Reading } from './condition.ts'
import { refuse } from './lexer.ts'

/** An operand and where it stands. */
export interface Placed {
  readonly operand: Operand
  readonly at: number
}

/** The message's own fields; `undefined` where, like a header, it is read as its place demands. */
export const ownFields: Readonly<Record<OwnField, 'number' | undefined>> = {
  id: undefined,
  topic: undefined,
  key: undefined,
  tag: undefined,
  priority: 'number',
  sentAt: 'number',
}

/** The one reading that an operand has; undefined for a field, which has any. */
function readingOf(operand: Operand): Reading | undefined {
  switch (operand.kind) {
    case 'header':
      return undefined
    case 'field':
      return ownFields[operand.name]
    case 'literal':
      return typeof operand.value === 'string' ? 'text' : typeof operand.value === 'number' ? 'number' : 'boolean'
    case 'arithmetic':
    case 'minus':
      return 'number'
  }
}

/** The reading that several operands share: a field follows the others; fields alone are texts. */
export function shared(source: string, ...placed: readonly Placed[]): Reading {
  let found: Reading | undefined
  for (const { operand, at } of placed) {
    const reading = readingOf(operand)
    if (reading === undefined) continue
    if (found !== undefined && found !== reading)
      throw refuse(source, at, `a ${reading} is compared with a ${found}, which is never true${advice(placed)}`)
    found = reading
  }
  return found ?? 'text'
}

/** Refuses an operand that cannot be read so. */
export function demand(source: string, { operand, at }: Placed, as: Reading, where: string): void {
  const reading = readingOf(operand)
  if (reading !== undefined && reading !== as)
    throw refuse(source, at, `${where} takes a ${as}, here is a ${reading}${advice([{ operand, at }])}`)
}

/** Refuses an order among TRUE and FALSE. */
export function ordered(source: string, at: number, operator: Comparison, as: Reading): void {
  if (as === 'boolean' && operator !== '=' && operator !== '<>')
    throw refuse(source, at, `TRUE and FALSE have no order; only = and <> compare them`)
}

function advice(placed: readonly Placed[]): string {
  for (const { operand } of placed)
    if (operand.kind === 'field' && ownFields[operand.name] === 'number')
      return `; ${operand.name} is the message's own field, "${operand.name}" in double quotes is the header`
  return ''
}
