import type { Dispatch, HeldRow, TopicSpec } from '@posthorn/core/driver'

/** The row of a message: the same for everybody who knows topic and id, so that another process can cancel it. */
export function refOf(
  message: Pick<Dispatch, 'topic' | 'id'> & { readonly generation?: number; readonly group?: string | undefined },
): string {
  const { topic, id, generation = 0, group } = message
  // Lengths keep `a:b` + `c` apart from `a` + `b:c`.
  return `m:${topic.length}:${topic}:${id}${generation === 0 && group === undefined ? '' : `:${generation}:${group ?? ''}`}`
}

/** Messages of one key leave in the order in which they were put away; without a key there is no order, and what has a time of its own holds up nobody. */
export function outboxLane({
  topic,
  key,
  notBefore,
}: Pick<Dispatch, 'topic' | 'key' | 'notBefore'>): string | undefined {
  return key === undefined || notBefore !== undefined ? undefined : `o:${topic.length}:${topic}:${key}`
}

/** Everything of a key that lies in the spool; without a key the topic is one lane. */
export function spoolLane(topic: string, key: string | undefined): string {
  return `s:${topic.length}:${topic}${key === undefined ? '' : `:${key}`}`
}

/** A key of a group whose messages wait behind a failed one. */
export function parkLane(topic: string, group: string, key: string): string {
  return `p:${group.length}:${group}:${topic.length}:${topic}:${key}`
}

/** What all park lanes of a group and a topic begin with. */
export function parkPrefix(topic: string, group: string): string {
  return parkLane(topic, group, '')
}

/** The row of a parked message: one per group, whatever its generation. */
export function parkRef(topic: string, group: string, id: string): string {
  return `p:${group.length}:${group}:${topic.length}:${topic}:${id}`
}

/**
 * A row to be sent: at `notBefore`, or as soon as it is seen. What has a `notBefore` was put away for a time: somebody may ask for it when it has left, so it is
 * remembered for a while. The outbox is not, or it would keep a day's messages.
 */
export function readyRow(
  message: Dispatch,
  topic: TopicSpec | undefined,
  lane: string | undefined,
  now: number,
): HeldRow {
  return {
    ref: refOf(message),
    state: 'ready',
    message,
    topic,
    lane,
    dueAt: message.notBefore ?? now,
    tries: 0,
  }
}

/** A time that never comes: parked rows that nobody has released. */
export const never = Number.MAX_SAFE_INTEGER
