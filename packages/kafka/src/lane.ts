import type { MessagingError } from '@posthorn/core'
import { type Arrival, Loss } from '@posthorn/core/driver'
import { isRoomy } from './ahead.ts'
import type { Partition, StoredRecord } from './clients/port.ts'
import { arrivalOf, type Place } from './convert.ts'
import type { Reading } from './fetching.ts'
import { history } from './history.ts'
import { line } from './line.ts'
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
  /** How often it may have been started, this time included; 0 before it was handed out. */
  starts: number
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
  /** This progress is on the broker. */
  committed(progress: Progress): void
  /** What is finished above the position no longer fits beside the offset: until it does, only the lowest unfinished message is handed out. */
  crowded(): void
  /** Offsets of this lane are committed in transactions from now on. */
  transactional: boolean
}

/** What is fetched and unfinished at most; above it the partition is not read on. */
const mostOpen = 4_000
const mostOpenDelayed = 20_000
const mostBytes = 16_777_216
/** From here on it is looked whether what is finished in between still fits beside the offset. */
const wideGap = 8_000
/** From so many starts at one offset on, no more is handed out than a window: what ends its process is among those. */
const carefulFrom = 3

/**
 * A lane that begins at `from`, as the last owner left it; more is read ahead than a window takes at once. `freed` is called when what lies here may
 * be handed out though nothing was read or settled.
 */
export function lane(
  place: Place,
  delayed: boolean,
  fence: bigint,
  from: Progress,
  window: number,
  freed: () => void = () => {},
): Lane {
  const track = tracker(from.offset)
  const queue = line()
  const past = history(from)
  const most = delayed ? mostOpenDelayed : Math.max(mostOpen, 4 * window)
  /** One for all that is handed out: it goes together. */
  const loss = new Loss()
  let bytes = 0
  let inHand = 0
  /** Handed out at least once. */
  let known = 0
  let state: 'open' | 'draining' | 'lost' = 'open'
  // What is delayed goes by its time: those that were started need not be the lowest.
  let careful = !delayed && past.starts >= carefulFrom
  let crowded = false
  /** Much is finished above the position, in many pieces: reading on would make it too much. */
  let gapFull = false

  const isGapFull = (): boolean => track.next - track.position > wideGap && !isRoomy(track.position, track.ahead())
  const size = ({ value }: StoredRecord): number => (value?.length ?? 0) + 200
  const throttle = (): void => {
    const full = track.unfinished >= most || bytes >= mostBytes || gapFull
    const low = track.unfinished <= most * 0.75 && bytes <= mostBytes * 0.75
    if (full) self.reading?.pause()
    else if (low) self.reading?.resume()
  }
  /** Who crashed may have started any of what it had been handed, and of no partition was that more than a window. */
  const suspected = (item: Item): boolean => (delayed ? item.record.offset < from.offset + most : known < window)
  const hand = (item: Item): Arrival => {
    if (item.starts === 0) {
      item.starts = suspected(item) ? past.starts : 1
      known++
    }
    item.inHand = true
    inHand++
    const arrival = arrivalOf(item.record, place, { token: item, deliveryCount: item.starts, lost: loss, fence })
    const lone = past.loneStarts(item)
    if (item.tried === undefined && lone === 0) return arrival
    return {
      ...arrival,
      lone: arrival.lone + lone,
      failures: item.tried?.failures ?? arrival.failures,
      history: item.tried?.history ?? arrival.history,
    }
  }
  const next = (): Item | undefined => {
    if (crowded) return queue.take(track.position)
    const { first } = queue
    if (first === undefined || (careful && first.starts === 0 && known >= window)) return undefined
    queue.takeFirst()
    return first
  }
  const self: Lane = {
    place,
    delayed,
    fence,
    reading: undefined,
    transactional: from.transactional,
    push(records, goOn) {
      if (state !== 'open') return
      for (let i = 0; i < records.length; i++) {
        const record = records[i] as StoredRecord
        const at = track.add(record.offset)
        // What the last owner finished above its position is not handed out again.
        if (past.finished(record.offset)) {
          track.finish(at)
          continue
        }
        bytes += size(record)
        queue.add({
          lane: self,
          record,
          place: at,
          due: delayed ? (arrivalOf(record, place).notBefore ?? 0) : 0,
          inHand: false,
          starts: 0,
          marked: false,
          tried: past.tried(record.offset),
        })
      }
      track.reach(goOn)
      gapFull = isGapFull()
      throttle()
    },
    take(max, now, into) {
      if (state !== 'open') return
      queue.ripen(now)
      for (const end = into.length + max; into.length < end; ) {
        const item = next()
        if (item === undefined) return
        into.push(hand(item))
      }
    },
    nextDue: (now) => {
      const due = queue.nextDue
      return due === undefined ? undefined : Math.max(due, now)
    },
    get ready() {
      return state === 'open' && queue.first !== undefined
    },
    finish(item) {
      const { position } = track
      if (state === 'lost' || !item.inHand || !track.finish(item.place)) return false
      item.inHand = false
      inHand--
      bytes -= size(item.record)
      past.settled(item)
      if (track.position !== position) {
        if (crowded) crowded = !isRoomy(track.position, track.ahead())
        if (gapFull) gapFull = isGapFull()
      }
      throttle()
      return true
    },
    putBack(item, tried) {
      if (!item.inHand) return
      item.inHand = false
      inHand--
      past.unmark(item)
      if (tried !== undefined) past.try(item, tried)
      if (state === 'open') queue.putBack(item)
    },
    crowded() {
      crowded = true
    },
    drain() {
      if (state === 'open') state = 'draining'
      queue.clear()
      self.reading?.remove()
    },
    lose(reason) {
      self.drain()
      state = 'lost'
      inHand = 0
      loss.lose(reason)
    },
    get lost() {
      return state === 'lost'
    },
    get inHand() {
      return inHand
    },
    progress(end, finished = []) {
      const { position, ahead } = track.after(new Set(finished.map((item) => item.place)))
      return past.progress(position, ahead, end, self.transactional)
    },
    committed({ offset }) {
      if (!careful || offset === from.offset) return
      careful = false
      freed()
    },
    mark: past.mark,
    unmark: past.unmark,
  }
  return self
}

/** The partition as the protocol names it. */
export function partitionOf({ place }: Pick<Lane, 'place'>): Partition {
  return { topic: place.kafkaTopic, partition: place.partition }
}
