// How our own fields travel where a broker has no native place for them. docs/reference/wire.md is its description; golden bytes hold it.
import type { Dispatch, Envelope, Failure, Letter } from './envelope.ts'

/** What a header can carry of a message. A driver names those that its broker has a native place for. */
export type WireField =
  | 'id'
  | 'key'
  | 'tag'
  | 'contentType'
  | 'sentAt'
  | 'expiresAt'
  | 'priority'
  | 'version'
  | 'generation'
  | 'failures'
  | 'history'
  | 'lone'
  | 'replyTo'
  | 'correlationId'
  | 'group'
  | 'notBefore'
  | 'letter'

/** The header of each field. */
export const wireNames: Readonly<Record<WireField, string>> = {
  id: 'ph-id',
  key: 'ph-key',
  tag: 'ph-tag',
  contentType: 'content-type',
  sentAt: 'ph-sent',
  expiresAt: 'ph-expires',
  priority: 'ph-priority',
  version: 'ph-version',
  generation: 'ph-gen',
  failures: 'ph-failures',
  history: 'ph-history',
  lone: 'ph-lone',
  replyTo: 'ph-reply-to',
  correlationId: 'ph-correlation',
  group: 'ph-group',
  notBefore: 'ph-due',
  letter: 'ph-letter',
}

/** Whether a header name is ours, so that a user may not set it. */
export function isOwnHeader(name: string): boolean {
  return name.startsWith('ph-') || name === 'content-type'
}

/** What the headers said of a message; the driver adds id, topic and body. */
export type Decoded = Omit<Envelope, 'topic' | 'body' | 'id'> & {
  readonly id: string | undefined
  readonly group: string | undefined
  readonly notBefore: number | undefined
  readonly letter: Letter | undefined
}

/** The user's headers and ours, without the fields in `native`. Fields at their default (0, none) are not written. */
export function encodeHeaders(message: Dispatch, native: ReadonlySet<WireField>): Record<string, string> {
  const out: Record<string, string> = { ...message.headers }
  const put = (field: WireField, value: string | number | undefined): void => {
    if (value !== undefined && !native.has(field))
      out[wireNames[field]] = typeof value === 'number' ? value.toString() : value
  }
  put('id', message.id)
  put('key', message.key)
  put('tag', message.tag)
  put('contentType', message.contentType)
  put('sentAt', message.sentAt)
  put('expiresAt', message.expiresAt)
  put('priority', message.priority)
  put('version', message.version)
  put('generation', message.generation || undefined)
  put('failures', message.failures || undefined)
  if (message.history.length > 0) put('history', JSON.stringify(message.history))
  put('lone', message.lone || undefined)
  put('replyTo', message.replyTo)
  put('correlationId', message.correlationId)
  put('group', message.group)
  put('notBefore', message.notBefore)
  if (message.letter !== undefined) put('letter', JSON.stringify(message.letter))
  return out
}

const fields: ReadonlyMap<string, WireField> = new Map(
  Object.entries(wireNames).map(([field, name]) => [name, field as WireField]),
)
const noHeaders: Readonly<Record<string, string>> = Object.freeze(Object.create(null))

/**
 * Parts headers into the user's and ours. Values come from strangers: what does not read as the field's type counts as absent, so a forged
 * counter can at worst send its own message to the dead letters early.
 */
export function decodeHeaders(raw: Readonly<Record<string, string>>): Decoded {
  const pairs: string[] = []
  for (const name in raw) pairs.push(name, raw[name] as string)
  return decodePairs(pairs)
}

/** The same of names and values in turn: where an object would be made only for this. Of a repeated name the last one counts. */
export function decodePairs(pairs: readonly string[]): Decoded {
  const found: Record<WireField, string | undefined> = { ...nothing }
  let user: Record<string, string> | undefined
  for (let i = 0; i < pairs.length; i += 2) {
    const name = pairs[i] as string
    const field = fields.get(name)
    if (field !== undefined) found[field] = pairs[i + 1]
    else if (!isOwnHeader(name)) {
      user ??= Object.create(null) as Record<string, string>
      user[name] = pairs[i + 1] as string
    }
  }
  return {
    id: found.id,
    key: found.key,
    tag: found.tag,
    headers: user ?? noHeaders,
    contentType: found.contentType,
    sentAt: natural(found.sentAt),
    expiresAt: natural(found.expiresAt),
    priority: natural(found.priority),
    version: natural(found.version),
    generation: natural(found.generation) ?? 0,
    failures: natural(found.failures) ?? 0,
    history: found.history === undefined ? noFailures : failures(found.history),
    lone: natural(found.lone) ?? 0,
    replyTo: found.replyTo,
    correlationId: found.correlationId,
    group: found.group,
    notBefore: natural(found.notBefore),
    letter: found.letter === undefined ? undefined : letter(found.letter),
  }
}

const noFailures: readonly Failure[] = Object.freeze([])
const nothing: Record<WireField, undefined> = {
  id: undefined,
  key: undefined,
  tag: undefined,
  contentType: undefined,
  sentAt: undefined,
  expiresAt: undefined,
  priority: undefined,
  version: undefined,
  generation: undefined,
  failures: undefined,
  history: undefined,
  lone: undefined,
  replyTo: undefined,
  correlationId: undefined,
  group: undefined,
  notBefore: undefined,
  letter: undefined,
}

function natural(text: string | undefined): number | undefined {
  if (text === undefined || !/^\d{1,15}$/.test(text)) return undefined
  return Number(text)
}

function parsed(text: string | undefined): unknown {
  if (text === undefined || text.length > 65_536) return undefined
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

function failures(text: string | undefined): readonly Failure[] {
  const value = parsed(text)
  if (!Array.isArray(value)) return []
  return value.filter(
    (each): each is Failure =>
      typeof each === 'object' &&
      each !== null &&
      typeof each.attempt === 'number' &&
      typeof each.at === 'number' &&
      typeof each.error === 'string',
  )
}

/** Why a message may be a dead letter. */
export const letterReasons = [
  'rejected',
  'attempts',
  'expired',
  'overflow',
  'undecodable',
  'poison',
  'unroutable',
  'unanswered',
  'parked',
] as const satisfies readonly Letter['reason'][]
const reasons: ReadonlySet<unknown> = new Set(letterReasons)

function letter(text: string | undefined): Letter | undefined {
  const value = parsed(text) as Partial<Record<keyof Letter, unknown>> | undefined | null
  if (typeof value !== 'object' || value === null || !reasons.has(value.reason)) return undefined
  return {
    reason: value.reason as Letter['reason'],
    error: typeof value.error === 'string' ? value.error : undefined,
    attempts: typeof value.attempts === 'number' ? value.attempts : 0,
    at: typeof value.at === 'number' ? value.at : 0,
  }
}
