import type { Failure } from '@posthorn/core/driver'
import { decodeAhead, encodeAhead } from './ahead.ts'
import type { CommittedOffset } from './clients/port.ts'

/**
 * What is committed of a partition. Kafka keeps one offset and counts no deliveries, but it keeps a text with the offset. There we note what is
 * finished above it, how often it was a starting point that nobody ended cleanly, and which message was started alone.
 */
export interface Progress {
  readonly offset: number
  /** Times that an owner began here and did not end cleanly. */
  readonly starts: number
  /** A message that ran alone and was never settled. */
  readonly alone: { readonly offset: number; readonly starts: number } | undefined
  /** Finished above the offset, ascending. */
  readonly ahead: readonly number[]
  /** Tries of messages that were given back. */
  readonly tries: readonly Tried[]
  /** Offsets of this partition were committed in transactions: the next owner must fence their producer. */
  readonly transactional: boolean
  /** How the group reads the topic, as its members have agreed; '' where it is not known. */
  readonly agreed: string
}

/** What a message that was given back has behind it. */
export interface Tried {
  readonly offset: number
  readonly failures: number
  readonly history: readonly Failure[]
}

/** Kafka's own limit is 4,096 (`offset.metadata.max.bytes`). */
const mostBytes = 4_000

/** Where nothing is known. */
export function beginning(offset: number): Progress {
  return { offset, starts: 0, alone: undefined, ahead: [], tries: [], transactional: false, agreed: '' }
}

/**
 * The text that goes with the offset. Where it would be too long, the texts of failures are left out first, then the tries; undefined where what
 * is finished above the offset alone does not fit.
 */
export function noteOf({ offset, starts, alone, ahead, tries, transactional, agreed }: Progress): string | undefined {
  const single = alone === undefined ? '-' : `${alone.offset}*${alone.starts}`
  const how = Buffer.from(agreed, 'utf8').toString('base64url')
  const head = `ph2 ${starts} ${single} ${transactional ? 't' : '-'} ${how} ${encodeAhead(offset, ahead)}`
  const counts = tries.map((each) => ({ ...each, history: [] }))
  return [tries, counts, []]
    .map((some) => (some.length === 0 ? head : `${head} ${JSON.stringify(some)}`))
    .find((note) => Buffer.byteLength(note) <= mostBytes)
}

/** Reads a committed offset; what is not ours counts as a first start. */
export function progressOf({ offset, metadata }: Pick<CommittedOffset, 'offset' | 'metadata'>): Progress {
  const match = /^ph2 (\d{1,6}) (?:-|(\d{1,16})\*(\d{1,6})) ([t-]) ([\w-]*) ([\w=+,-]*)(?: (\[.*\]))?$/s.exec(metadata)
  if (match === null) return beginning(offset)
  return {
    offset,
    starts: Number(match[1]),
    alone: match[2] === undefined ? undefined : { offset: Number(match[2]), starts: Number(match[3]) },
    ahead: decodeAhead(offset, match[6] ?? ''),
    tries: triesOf(match[7]),
    transactional: match[4] === 't',
    agreed: Buffer.from(match[5] ?? '', 'base64url').toString('utf8'),
  }
}

function triesOf(text: string | undefined): readonly Tried[] {
  if (text === undefined) return []
  try {
    return JSON.parse(text) as readonly Tried[]
  } catch {
    return []
  }
}
