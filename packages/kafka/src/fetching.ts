import { type Clock, pause } from '@posthorn/core/driver'
import { spread } from './backoff.ts'
import type { FetchAnswer, StoredRecord } from './clients/port.ts'
import type { ClusterMap } from './cluster.ts'
import { type Fault, faultOf, passes } from './errors.ts'

/** One partition that is being read. */
export interface Reading {
  readonly topic: string
  readonly partition: number
  /** Stops asking for more; what is under way still comes. */
  pause(): void
  resume(): void
  /** Goes on from elsewhere; nothing from before comes any more. */
  seek(offset: number): void
  remove(): void
  readonly offset: number
  /** Past the last readable record, as of the last answer. */
  readonly end: number
}

/** What becomes of a partition that is read. */
export interface ReadingEvents {
  /** Records in order, and where reading goes on. */
  records(records: readonly StoredRecord[], next: number, end: number): void
  /** The broker no longer has `from`; reading goes on at `to`. */
  lost(from: number, to: number): void
}

/** Long polls, one under way per node, over whatever partitions are not paused. */
export interface Fetcher {
  add(topic: string, partition: number, offset: number, events: ReadingEvents): Reading
  close(): void
}

/** What it needs. */
export interface FetcherContext {
  readonly cluster: ClusterMap
  readonly clock: Clock
  readonly committedOnly: boolean
  /** Nothing could be read for so long that somebody must open anew; or a fault that time does not mend. */
  readonly failed: (fault: Fault) => void
}

/** How long a poll waits for the first byte. */
const maxWaitMs = 100
/** The same while a partition is paused, which may not be resumed before the poll ends: what it still has to hand out must last so long. */
const shortWaitMs = 20
/** What of one partition comes at once. */
const partitionBytes = 1_048_576
const answerBytes = 8_388_608
/** How long faults that pass are borne. */
const patienceMs = 4_000

interface Slot extends Reading {
  readonly events: ReadingEvents
  offset: number
  end: number
  paused: boolean
  removed: boolean
  node: number | undefined
  /** Rises with each seek: answers from before are dropped. */
  version: number
  /** Answers without anything although there is something. */
  hollow: number
}

/** A fetcher on connections of its own: a poll holds up whatever else is asked on them. */
export function fetcher(context: FetcherContext): Fetcher {
  const { cluster, clock, committedOnly, failed } = context
  const slots = new Set<Slot>()
  const loops = new Set<number>()
  const closing = new AbortController()
  let failingSince: number | undefined

  const bad = (fault: Fault): void => {
    if (closing.signal.aborted) return
    failingSince ??= clock.now()
    if (!passes(fault) || clock.now() - failingSince > patienceMs) failed(fault)
  }
  const find = async (slot: Slot): Promise<void> => {
    while (!slot.removed && !closing.signal.aborted) {
      try {
        slot.node = await cluster.leader(slot.topic, slot.partition)
        return poll(slot.node)
      } catch (error) {
        bad(faultOf(error))
        await pause(clock, spread(200), closing.signal)
      }
    }
  }
  const astray = (slot: Slot): void => {
    slot.node = undefined
    cluster.forget({ topic: slot.topic })
    void pause(clock, spread(100), closing.signal).then(() => find(slot))
  }
  const reset = async (slot: Slot): Promise<void> => {
    const [from, version] = [slot.offset, slot.version]
    try {
      const node = await cluster.leader(slot.topic, slot.partition)
      const of = { topic: slot.topic, partition: slot.partition }
      const [start] = await cluster.wire.offsets(node, [{ ...of, at: -2 }])
      const [end] = await cluster.wire.offsets(node, [{ ...of, at: -1 }])
      if (slot.version !== version || slot.removed || start === undefined || end === undefined) return
      // Below the beginning: retention took it. Past the end: the log was cut or is another one, of which nothing was read yet.
      const to = from >= start.offset && from <= end.offset ? from : start.offset
      if (to === from) return
      slot.offset = to
      slot.events.lost(from, to)
    } catch (error) {
      bad(faultOf(error))
    }
  }
  const take = (slot: Slot, answer: FetchAnswer): void => {
    slot.end = answer.end
    if (answer.next === slot.offset) return
    slot.offset = answer.next
    slot.hollow = 0
    slot.events.records(answer.records, answer.next, answer.end)
  }
  const poll = (node: number): void => {
    if (loops.has(node) || closing.signal.aborted) return
    loops.add(node)
    void serve(node)
      .catch((error: unknown) => bad(faultOf(error)))
      .finally(() => loops.delete(node))
      .then(() => [...slots].some((slot) => slot.node === node && !slot.paused) && poll(node))
  }
  const serve = async (node: number): Promise<void> => {
    for (;;) {
      const here = [...slots].filter((slot) => slot.node === node)
      const asked = here.filter((slot) => !slot.paused)
      if (asked.length === 0 || closing.signal.aborted) return
      // Every partition gets its turn at the front of a full answer.
      asked.push(...asked.splice(0, Math.floor(Math.random() * asked.length)))
      const versions = asked.map(({ version }) => version)
      let answers: readonly FetchAnswer[]
      try {
        answers = await cluster.wire.fetch(node, {
          committedOnly,
          maxWaitMs: asked.length < here.length ? shortWaitMs : maxWaitMs,
          maxBytes: answerBytes,
          partitions: asked.map(({ topic, partition, offset }) => ({
            topic,
            partition,
            offset,
            maxBytes: partitionBytes,
          })),
        })
      } catch (error) {
        bad(faultOf(error))
        for (const slot of asked) astray(slot)
        return
      }
      const held = new Map(answers.map((answer) => [`${answer.partition}/${answer.topic}`, answer]))
      const nothing = answers.every(({ records }) => records.length === 0)
      let sound = true
      for (const [i, slot] of asked.entries()) {
        const answer = held.get(`${slot.partition}/${slot.topic}`)
        if (answer === undefined || slot.version !== versions[i] || slot.removed) continue
        if (answer.fault === undefined) {
          take(slot, answer)
          // A batch that compaction emptied has no record that would say where it ends.
          if (nothing && slot.offset < slot.end && ++slot.hollow > 3) slot.offset++
          continue
        }
        sound = false
        if (answer.fault.type === 'OFFSET_OUT_OF_RANGE') await reset(slot)
        else {
          bad(answer.fault)
          astray(slot)
        }
      }
      if (sound) failingSince = undefined
    }
  }
  return {
    add(topic, partition, offset, events) {
      const slot: Slot = {
        topic,
        partition,
        events,
        offset,
        end: offset,
        paused: false,
        removed: false,
        node: undefined,
        version: 0,
        hollow: 0,
        pause() {
          slot.paused = true
        },
        resume() {
          if (!slot.paused) return
          slot.paused = false
          if (slot.node !== undefined) poll(slot.node)
        },
        seek(to) {
          slot.offset = to
          slot.version++
        },
        remove() {
          slot.removed = true
          slots.delete(slot)
        },
      }
      slots.add(slot)
      void find(slot)
      return slot
    },
    close() {
      closing.abort()
      slots.clear()
    },
  }
}
