import type { Dispatch } from '@posthorn/core/driver'
import { append, rouseReaders, type Space } from './log.ts'
import type { TopicLog } from './topic.ts'
import type { MemoryTransaction } from './transaction.ts'

/** A message that waits for its time. */
export interface Waiting {
  readonly topic: TopicLog
  readonly message: Dispatch
  dueAt: number
  /** Stops its timer. */
  stop: () => void
}

/** Holds a message until its time, then appends it. */
export function delay(space: Space, topic: TopicLog, message: Dispatch, dueAt: number): void {
  const waiting: Waiting = { topic, message, dueAt, stop: () => {} }
  enter(space, waiting)
}

/** Takes waiting messages of this id back; in `tx` for good only if it commits. Copies to one group are no longer this message. */
export function cancel(
  space: Space,
  id: string,
  topic: string,
  tx: MemoryTransaction | undefined,
): 'cancelled' | 'too-late' | 'unknown' {
  const found = leave(space, id, topic)
  if (found === undefined) return seen(space, id, topic) ? 'too-late' : 'unknown'
  tx?.onRollback(() => {
    for (const each of found) enter(space, each)
  })
  return 'cancelled'
}

/** Changes when they are due; in `tx` until it commits they are due neither at the old time nor at the new one. */
export function reschedule(
  space: Space,
  id: string,
  topic: string,
  notBefore: number,
  tx: MemoryTransaction | undefined,
): 'rescheduled' | 'too-late' | 'unknown' {
  const found = leave(space, id, topic)
  if (found === undefined) return seen(space, id, topic) ? 'too-late' : 'unknown'
  const back = (): void => {
    for (const each of found) enter(space, each)
  }
  const on = (): void => {
    for (const each of found) each.dueAt = notBefore
    back()
  }
  if (tx === undefined) on()
  else {
    tx.onCommit(on)
    tx.onRollback(back)
  }
  return 'rescheduled'
}

/** Forgets all that waits for a topic that ends. */
export function forget(space: Space, topic: string): void {
  for (const [name, waiting] of space.delayed) {
    if (!name.startsWith(nameOf(topic, ''))) continue
    for (const each of waiting) each.stop()
    space.delayed.delete(name)
  }
}

function enter(space: Space, waiting: Waiting): void {
  const { message, topic } = waiting
  const name = nameOf(message.topic, message.id)
  const list = space.delayed.get(name)
  if (list === undefined) space.delayed.set(name, [waiting])
  else list.push(waiting)
  const { clock } = space.log
  const arrive = (): void => {
    const rest = (space.delayed.get(name) ?? []).filter((each) => each !== waiting)
    if (rest.length === 0) space.delayed.delete(name)
    else space.delayed.set(name, rest)
    space.log.activity++
    append(space, topic, message, clock.now())
    rouseReaders(topic)
  }
  waiting.stop = clock.after(Math.max(0, waiting.dueAt - clock.now()), arrive, { unref: true })
}

function leave(space: Space, id: string, topic: string): Waiting[] | undefined {
  const name = nameOf(topic, id)
  const list = space.delayed.get(name) ?? []
  const found = list.filter((each) => each.message.group === undefined)
  if (found.length === 0) return undefined
  const rest = list.filter((each) => each.message.group !== undefined)
  if (rest.length === 0) space.delayed.delete(name)
  else space.delayed.set(name, rest)
  for (const each of found) each.stop()
  return found
}

function seen(space: Space, id: string, topic: string): boolean {
  for (const entry of space.topics.get(topic)?.entries ?? []) if (entry.message.id === id) return true
  return false
}

function nameOf(topic: string, id: string): string {
  return `${topic}\n${id}`
}
