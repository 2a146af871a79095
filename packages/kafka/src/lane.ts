import type { MessagingError } from '@posthorn/core'
import type { Arrival } from '@posthorn/core/driver'
import type { Partition, StoredRecord } from './clients/port.ts'
import { arrivalOf, type Place } from './convert.ts'
import type { Reading } from './fetching.ts'
import { tracker } from './offsets.ts'
import type { Progress, Tried } from './progress.ts'

/** A record between the broker and its settlement. */
export interface Item {
  readonly lane: Lane
  readonly record: StoredRecord
  /** In the lane's tracker. */
  readonly place: number
  /** Epoch ms before which nobody may get it; 0: now. */
  readonly due: number
  /** Handed out and not settled. */
  inHand: boolean
  /** Its start alone was noted and has not ended. */
  marked: boolean
  /** What a hand-back put on it. */
  tried: Pick<Tried, 'failures' | 'history'> | undefined
}

/** One partition that is ours, from its assignment to its loss. */
export interface Lane {
  readonly place: Place
  /** Delayed copies of one group lie here: each waits for its time, and may pass others. */
  readonly delayed: boolean
  readonly fence: bigint
  /** Set by whoever reads for it. */
  reading: Reading | undefined
  /** Takes what was read. */
  push(records: readonly StoredRecord[], next: number): void
  /** Up to `max` that may be handed out now, in order. */
  take(max: number, now: number, into: Arrival[]): void
  /** When the next one is due that is not yet; undefined: none waits. */
  nextDue(now: number): number | undefined
  readonly ready: boolean
  finish(item: Item): boolean
  /** Puts it back in its place, to be handed out again. */
  putBack(item: Item, tried: Item['tried']): void
  /** Nothing of it is handed out any more; what nobody took is forgotten. */
  drain(): void
  /** Nothing of it is ours any more: signals of what is in hand abort. */
  lose(reason: MessagingError): void
  readonly lost: boolean
  readonly inHand: number
  /** What to commit: now, after a clean end, or as if these were finished, too. */
  progress(end?: 'clean' | undefined, finished?: readonly Item[]): Progress
  /** Notes that this one starts alone. */
  mark(item: Item): void
  /** The start that was marked has ended. */
  unmark(item: Item): void
  /** Offsets of this lane are committed in transactions from now on. */
  transactional: boolean
}

/** What is fetched and unfinished at most; above it the partition is not read on. */
const mostOpen = 4_000
const mostOpenDelayed = 20_000
const mostBytes = 16_777_216

/** A lane that begins at `from`, as the last owner left it; more is read ahead than a window takes at once. */
export function lane(place: Place, delayed: boolean, fence: bigint, from: Progress, window: number): Lane {
  const track = tracker(from.offset)
  const most = delayed ? mostOpenDelayed : Math.max(mostOpen, 4 * window)
  /** One for all that is handed out: it goes together. */
  const losing = new AbortController()
  const { signal } = losing
  let queue: Item[] = []
  let head = 0
  /** Of a delayed lane: by time. */
  const waiting: Item[] = []
  let bytes = 0
  let inHand = 0
  let state: 'open' | 'draining' | 'lost' = 'open'
  let alone = from.alone
  const starts = from.starts + 1
  const finishedBefore = new Set(from.ahead)
  const tries = new Map(from.tries.map((each) => [each.offset, each]))

  const size = ({ value }: StoredRecord): number => (value?.length ?? 0) + 200
  const throttle = (): void => {
    const full = track.unfinished >= most || bytes >= mostBytes
    const low = track.unfinished <= most * 0.75 && bytes <= mostBytes * 0.75
    if (full) self.reading?.pause()
    else if (low) self.reading?.resume()
  }
  const hand = (item: Item): Arrival => {
    item.inHand = true
    inHand++
    const arrival = arrivalOf(item.record, place, {
      token: item,
      // Who crashed may have started any of what it had fetched.
      deliveryCount: item.record.offset < from.offset + most ? starts : 1,
      lost: signal,
      fence,
    })
    const lone = alone?.offset === item.record.offset ? alone.starts : 0
    if (item.tried === undefined && lone === 0) return arrival
    return {
      ...arrival,
      lone: arrival.lone + lone,
      failures: item.tried?.failures ?? arrival.failures,
      history: item.tried?.history ?? arrival.history,
    }
  }
  const enqueue = (item: Item): void => {
    if (item.due === 0) queue.push(item)
    else waiting.push(item)
  }
  /** What the last owner finished above its position is not handed out again. */
  const unfinished = ({ offset }: StoredRecord): boolean => {
    if (!finishedBefore.delete(offset)) return true
    track.finish(track.add(offset))
    return false
  }
  const self: Lane = {
    place,
    delayed,
    fence,
    reading: undefined,
    transactional: from.transactional,
    push(read, next) {
      if (state !== 'open') return
      const records = finishedBefore.size === 0 ? read : read.filter(unfinished)
      for (let i = 0; i < records.length; i++) {
        const record = records[i] as StoredRecord
        bytes += size(record)
        const due = delayed ? (arrivalOf(record, place).notBefore ?? 0) : 0
        enqueue({
          lane: self,
          record,
          place: track.add(record.offset),
          due,
          inHand: false,
          marked: false,
          tried: tries.get(record.offset),
        })
      }
      if (delayed) waiting.sort((a, b) => a.due - b.due || a.record.offset - b.record.offset)
      track.reach(next)
      throttle()
    },
    take(max, now, into) {
      if (state !== 'open') return
      const end = into.length + max
      while (waiting.length > 0 && (waiting[0] as Item).due <= now) queue.push(waiting.shift() as Item)
      while (head < queue.length && into.length < end) into.push(hand(queue[head++] as Item))
      if (head === queue.length) {
        queue = []
        head = 0
      } else if (head > 1_024) {
        queue = queue.slice(head)
        head = 0
      }
    },
    nextDue: (now) => {
      const due = waiting[0]?.due
      return due === undefined ? undefined : Math.max(due, now)
    },
    get ready() {
      return state === 'open' && head < queue.length
    },
    finish(item) {
      if (state === 'lost' || !item.inHand || !track.finish(item.place)) return false
      item.inHand = false
      inHand--
      bytes -= size(item.record)
      if (alone?.offset === item.record.offset) alone = undefined
      if (item.tried !== undefined) tries.delete(item.record.offset)
      throttle()
      return true
    },
    putBack(item, tried) {
      if (!item.inHand) return
      item.inHand = false
      inHand--
      self.unmark(item)
      item.tried = tried ?? item.tried
      if (tried !== undefined) tries.set(item.record.offset, { offset: item.record.offset, ...tried })
      if (state !== 'open') return
      const rest = queue.slice(head)
      const at = rest.findIndex(({ record }) => record.offset > item.record.offset)
      rest.splice(at < 0 ? rest.length : at, 0, item)
      queue = rest
      head = 0
    },
    drain() {
      if (state === 'open') state = 'draining'
      queue = []
      head = 0
      waiting.length = 0
      self.reading?.remove()
    },
    lose(reason) {
      self.drain()
      state = 'lost'
      inHand = 0
      losing.abort(reason)
    },
    get lost() {
      return state === 'lost'
    },
    get inHand() {
      return inHand
    },
    progress(end, finished = []) {
      const { position, ahead } = track.after(new Set(finished.map((item) => item.place)))
      const moved = position !== from.offset
      // Whoever comes after a crash finds that we had started here; after a clean end nobody had.
      const begun = moved ? 1 : starts
      // What the last owner finished and we have not read yet stays finished.
      const all = finishedBefore.size === 0 ? ahead : [...ahead, ...finishedBefore].sort((a, b) => a - b)
      return {
        offset: position,
        starts: end === 'clean' ? begun - 1 : begun,
        alone,
        ahead: all,
        tries: [...tries.values()],
        transactional: self.transactional,
        agreed: from.agreed,
      }
    },
    unmark(item) {
      if (!item.marked) return
      item.marked = false
      const left = (alone?.starts ?? 0) - 1
      if (alone?.offset === item.record.offset) alone = left > 0 ? { ...alone, starts: left } : undefined
    },
    mark(item) {
      item.marked = true
      const before = alone?.offset === item.record.offset ? alone.starts : 0
      alone = { offset: item.record.offset, starts: before + 1 }
    },
  }
  return self
}

/** The partition as the protocol names it. */
export function partitionOf({ place }: Pick<Lane, 'place'>): Partition {
  return { topic: place.kafkaTopic, partition: place.partition }
}
