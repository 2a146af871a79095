import type { From } from '@posthorn/core/driver'
import { MessagingError } from '@posthorn/core/driver'
import { positionLost } from './errors.ts'
import type { Sql } from './sql.ts'
import { endOf, span, type TopicRow } from './topic-rows.ts'

/** The `seq` after which a reader of this topic begins. */
export function startOf(sql: Sql, topic: TopicRow, from: From): number {
  const base = topic.id * span
  if (from === 'earliest') return base
  if (from === 'latest') return endOf(sql, topic).seq
  if ('time' in from) return beforeTime(sql, topic, from.time)
  const seq = base + placeFrom(from.position)
  if (seq <= topic.freed) throw positionLost(topic.name, from.position)
  return seq - 1
}

/** The last `seq` that a reader up to there reads. */
export function stopOf(sql: Sql, topic: TopicRow, to: From | undefined): number {
  const base = topic.id * span
  const end = endOf(sql, topic).seq
  if (to === undefined || to === 'latest') return end
  if (to === 'earliest') return base
  if ('time' in to) return Math.min(end, beforeTime(sql, topic, to.time + 1))
  return Math.min(end, base + placeFrom(to.position))
}

function placeFrom(position: string): number {
  const place = /^\d{1,12}$/.test(position) ? Number(position) : Number.NaN
  if (!(place < span))
    throw new MessagingError(
      'invalid',
      `${JSON.stringify(position)} is no position of this file; give one from a receipt or a delivery`,
    )
  return place
}

/** The last `seq` of what came before a time: times of a topic never fall, so the place is found by halving. */
function beforeTime(sql: Sql, topic: TopicRow, time: number): number {
  const base = topic.id * span
  let low = base
  let high = endOf(sql, topic).seq
  // Everything up to `low` is older; nothing after `high` is.
  while (low < high) {
    const middle = low + Math.floor((high - low) / 2)
    const row = sql.row(
      'SELECT seq, at FROM posthorn_message WHERE seq > ? AND seq <= ? ORDER BY seq LIMIT 1',
      middle,
      high,
    )
    if (row === undefined || (row['at'] as number) >= time) high = middle
    else low = row['seq'] as number
  }
  return low
}
