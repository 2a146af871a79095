// A history as a sound broker would leave it, from a seed. What the checker is checked with.
import type { Entry, Intent, Outcome } from './entries.ts'

/** What is in the history. */
export interface HistoryOptions {
  readonly seed: number
  readonly messages: number
  readonly keys: number
  readonly groups: readonly string[]
  /** Every so many messages a fault of 500 ms. */
  readonly faultEvery?: number | undefined
}

/** Numbers from 0 to 1 that a seed fixes. */
export function randomFrom(seed: number): () => number {
  let state = seed >>> 0
  return () => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296
  }
}

/** What a message of the history goes through. */
type Course = Outcome | 'plain' | 'delayed' | 'expired' | 'letter' | 'twice' | 'dropped-unknown' | 'unroutable'

// The first twelve messages have one of each, so that every mutation has a place in every history of twelve.
const courses: readonly Course[] = [
  'plain',
  'plain',
  'delayed',
  'failed',
  'unknown',
  'dropped-unknown',
  'cancelled',
  'rolled-back',
  'expired',
  'letter',
  'twice',
  'unroutable',
]

/** Entries in the order of time, by one writer that ended in good order. */
export function cleanHistory({ seed, messages, keys, groups, faultEvery = 1_000 }: HistoryOptions): Entry[] {
  const random = randomFrom(seed)
  const entries: Entry[] = []
  const seqs = new Map<string, number>()
  // What reached a key's lane is done before the next of it starts.
  const freeAt = new Map<string, number>()
  let now = 1_000
  for (let i = 0; i < messages; i++) {
    now += 1 + random() * 4
    if (i % faultEvery === faultEvery >> 1)
      entries.push(
        { e: 'fault', t: now, name: 'reset', phase: 'begin' },
        { e: 'fault', t: now + 500, name: 'reset', phase: 'end' },
      )
    // The first two messages share a key, so that there is an order to break.
    const key = `k${i < 2 ? 0 : Math.floor(random() * keys)}`
    const seq = (seqs.get(key) ?? 0) + 1
    seqs.set(key, seq)
    const course =
      courses[i] ?? (random() < 0.7 ? 'plain' : (courses[Math.floor(random() * courses.length)] ?? 'plain'))
    now = one(entries, { id: `m${i}`, topic: 'orders', key, seq, hash: `h${i}` }, course, {
      groups,
      now,
      random,
      freeAt,
    })
  }
  entries.sort((a, b) => a.t - b.t)
  const last = (entries.at(-1)?.t ?? now) + 1
  for (const group of groups) entries.push({ e: 'backlog', t: last, group, count: 0 })
  entries.push({ e: 'end', t: last + 20, closeMs: 20, handles: 0 })
  return entries
}

interface Setting {
  readonly groups: readonly string[]
  readonly now: number
  readonly random: () => number
  readonly freeAt: Map<string, number>
}

/** Writes the course of one message and answers the time at which its sender goes on. */
function one(entries: Entry[], plain: Intent, course: Course, { groups, now, random, freeAt }: Setting): number {
  const due = course === 'delayed' || course === 'cancelled' ? now + 100 + random() * 400 : undefined
  const expires = course === 'expired' ? now + 50 : undefined
  const letter = course === 'letter' ? 'attempts' : course === 'unroutable' ? course : 'none'
  entries.push({ e: 'intent', t: now, ...plain, due, expires, letter })
  const told = now + 0.5 + random() * 5
  const tell = (as: Outcome, t = told): void => void entries.push({ e: 'outcome', t, id: plain.id, as })
  if (course === 'failed' || course === 'rolled-back') tell(course)
  else if (course === 'unknown' || course === 'dropped-unknown') tell('unknown')
  else tell('ok')
  if (course === 'cancelled') tell('cancelled', told + 10)
  if (course === 'expired') for (const group of groups) entries.push({ e: 'ack', t: now + 60, id: plain.id, group })
  if (course === 'unroutable') entries.push({ e: 'letter', t: told + 3, id: plain.id, reason: 'unroutable' })
  if (!['plain', 'delayed', 'unknown', 'letter', 'twice'].includes(course)) return told
  for (const group of groups) {
    const lane = `${group}/${plain.key}`
    const start = Math.max(due ?? now + 0.4, due === undefined ? (freeAt.get(lane) ?? 0) : 0) + random() * 3
    const done = arrive(entries, plain, group, start, course, random)
    if (due === undefined) freeAt.set(lane, done)
  }
  return told
}

function arrive(
  entries: Entry[],
  { id, topic, hash }: Intent,
  group: string,
  start: number,
  course: Course,
  random: () => number,
): number {
  entries.push({ e: 'delivery', t: start, id, group, topic, hash })
  const again = start + 1 + random()
  if (course === 'twice') entries.push({ e: 'delivery', t: again, id, group, topic, hash })
  const done = again + 0.1 + random() * 2
  if (course === 'letter') entries.push({ e: 'letter', t: done, id, group, reason: 'attempts' })
  else entries.push({ e: 'effect', t: done, id, group })
  entries.push({ e: 'ack', t: done + 0.05, id, group })
  return done + 0.1
}
