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
  /** Offsets of this partition were committed in transactions: the next owner must fence their producer. */
  readonly transactional: boolean
}

/** Kafka's own limit is 4,096 (`offset.metadata.max.bytes`). */
const mostBytes = 4_000

/** Where nothing is known. */
export function beginning(offset: number): Progress {
  return { offset, starts: 0, alone: undefined, ahead: [], transactional: false }
}

/** The text that goes with the offset; undefined where what is finished above does not fit. */
export function noteOf({ offset, starts, alone, ahead, transactional }: Progress): string | undefined {
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
  const single = alone === undefined ? '-' : `${alone.offset}*${alone.starts}`
  const note = `ph1 ${starts} ${single} ${transactional ? 't' : '-'} ${runs.join(',')}`
  return note.length > mostBytes ? undefined : note
}

/** Reads a committed offset; what is not ours counts as a first start. */
export function progressOf({ offset, metadata }: Pick<CommittedOffset, 'offset' | 'metadata'>): Progress {
  const match = /^ph1 (\d{1,6}) (?:-|(\d{1,16})\*(\d{1,6})) ([t-]) ([0-9a-z+,]*)$/.exec(metadata)
  if (match === null) return beginning(offset)
  const ahead: number[] = []
  for (const run of (match[5] ?? '').split(',')) {
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
    transactional: match[4] === 't',
  }
}
