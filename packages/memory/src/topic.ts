import type { Clock, Dispatch, TopicSpec } from '@posthorn/core/driver'
import type { Group } from './group.ts'
import { Ring } from './ring.ts'

/** A message in a topic. */
export interface Entry {
  readonly topic: TopicLog
  readonly message: Dispatch
  /** Its position, as a number. */
  readonly seq: number
  readonly at: number
  /** How many groups have not settled it. */
  open: number
}

/** What one topic holds: its messages in order and the groups that read them. */
export interface TopicLog {
  readonly name: string
  readonly spec: TopicSpec | undefined
  /** A reply address: nothing is kept for later readers. */
  readonly reply: boolean
  readonly entries: Ring<Entry>
  readonly groups: Set<Group>
  /** The highest position that was freed. */
  freed: number
  compactAt: number
}

/** Settled messages that are kept where the topic names no retention: a test's history, and a flat heap. */
const kept = 10_000

/** Makes an empty topic. */
export function topicLog(name: string, spec: TopicSpec | undefined, reply: boolean): TopicLog {
  return { name, spec, reply, entries: new Ring(), groups: new Set(), freed: 0, compactAt: 2 * kept }
}

/**
 * Frees what every group has settled and retention no longer wants. What a known group has not settled stays; where no group is known
 * and no retention is set, everything stays for the first.
 */
export function trim(topic: TopicLog, clock: Clock): void {
  const { entries } = topic
  const now = topic.spec?.retentionMs === undefined ? 0 : clock.now()
  const retentionMs = topic.reply ? 0 : topic.spec?.retentionMs
  let surplus = retentionMs === undefined && topic.groups.size > 0 ? entries.length - kept : 0
  const disposable = (entry: Entry): boolean => {
    if (entry.open > 0) return false
    if (retentionMs !== undefined) return topic.reply || entry.at + retentionMs <= now
    return surplus-- > 0
  }
  for (let front = entries.peek(); front !== undefined && disposable(front); front = entries.peek()) {
    entries.shift()
    topic.freed = front.seq
  }
  // One unsettled message at the front must not keep everything behind it alive.
  if (entries.length < topic.compactAt) return
  entries.retain((entry) => {
    if (!disposable(entry)) return true
    topic.freed = Math.max(topic.freed, entry.seq)
    return false
  })
  topic.compactAt = 2 * Math.max(entries.length, kept)
}
