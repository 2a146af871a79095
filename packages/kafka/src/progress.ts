import type { Failure } from '@posthorn/core/driver'
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
  const head = `ph2 ${starts} ${single} ${transactional ? 't' : '-'} ${how} ${runsOf(offset, ahead)}`
  const counts = tries.map((each) => ({ ...each, history: [] }))
  return [tries, counts, []]
    .map((some) => (some.length === 0 ? head : `${head} ${JSON.stringify(some)}`))
    .find((note) => Buffer.byteLength(note) <= mostBytes)
}

/** Offsets above another one as runs, in base 36: `3+2,9` is 3, 4 and 9 above it. */
function runsOf(offset: number, ahead: readonly number[]): string {
  const runs: string[] = []
  let [first, length] = [-1, 0]
  const close = (): void => {
    if (length > 0) runs.push(length === 1 ? first.toString(36) : `${first.toString(36)}+${length.toString(36)}`)
  }
  for (const each of ahead) {
    if (length > 0 && each - offset === first + length) length++
    else {
      close()
      ;[first, length] = [each - offset, 1]
    }
  }
  close()
  return runs.join(',')
}

/** Reads a committed offset; what is not ours counts as a first start. */
export function progressOf({ offset, metadata }: Pick<CommittedOffset, 'offset' | 'metadata'>): Progress {
  const match = /^ph2 (\d{1,6}) (?:-|(\d{1,16})\*(\d{1,6})) ([t-]) ([\w-]*) ([0-9a-z+,]*)(?: (\[.*\]))?$/s.exec(
    metadata,
  )
  if (match === null) return beginning(offset)
  const ahead: number[] = []
  for (const run of (match[6] ?? '').split(',')) {
    const [first, length = '1'] = run.split('+')
    if (first === undefined || first === '') continue
    const count = Math.min(Number.parseInt(length, 36), 100_000)
    for (let i = 0; i < count; i++) ahead.push(offset + Number.parseInt(first, 36) + i)
  }
  return {
    offset,
    starts: Number(match[1]),
    alone: match[2] === undefined ? undefined : { offset: Number(match[2]), starts: Number(match[3]) },
    ahead,
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
