import type { Transaction } from '@posthorn/core'
import type { Clock } from '@posthorn/core/driver'
import type { Hub } from './hub.ts'
import type { Sql } from './sql.ts'
import { findTopic, span } from './topic-rows.ts'
import { mustBeOutside, openTransaction } from './transaction.ts'
import type { Work } from './writer.ts'

// Left to itself SQLite reads them all where an application ran ANALYZE while there were few.
const byId = 'INDEXED BY posthorn_delayed_id'
/** What is there of a delayed message of the user's; copies to a group are none. */
const mine = 'WHERE topic = ? AND id = ? AND grp IS NULL'

async function writing<R>(hub: Hub, tx: Transaction | undefined, work: (work: Work) => R): Promise<R> {
  if (tx !== undefined) return openTransaction(tx, hub.path).work().then(work)
  mustBeOutside(hub.path, 'a cancel or reschedule without { tx }')
  return hub.writer.write(work)
}

/** Takes a message back that waits for its time. */
export function cancel(
  hub: Hub,
  ns: string,
  id: string,
  name: string,
  tx: Transaction | undefined,
): Promise<'cancelled' | 'too-late' | 'unknown'> {
  return writing(hub, tx, ({ sql }) => {
    const topic = findTopic(sql, ns, name)
    if (topic === undefined) return 'unknown'
    if (sql.run(`DELETE FROM posthorn_delayed ${byId} ${mine}`, topic.id, id) > 0) return 'cancelled'
    return wasDelayed(sql, topic.id, id) ? 'too-late' : 'unknown'
  })
}

/** Changes when a waiting message is due; a time that has passed is now. */
export function reschedule(
  hub: Hub,
  ns: string,
  id: string,
  name: string,
  due: number,
  tx: Transaction | undefined,
  clock: Clock,
): Promise<'rescheduled' | 'too-late' | 'unknown'> {
  return writing(hub, tx, (work) => {
    const { sql } = work
    const topic = findTopic(sql, ns, name)
    if (topic === undefined) return 'unknown'
    const at = Math.max(Math.ceil(due), clock.now())
    if (sql.run(`UPDATE posthorn_delayed ${byId} SET due = ? ${mine}`, at, topic.id, id) > 0) {
      work.after(() => hub.wake.topics([topic.id]))
      return 'rescheduled'
    }
    return wasDelayed(sql, topic.id, id) ? 'too-late' : 'unknown'
  })
}

function wasDelayed(sql: Sql, topic: number, id: string): boolean {
  return (
    sql.row(
      'SELECT 1 FROM posthorn_message WHERE id = ? AND due IS NOT NULL AND seq > ? AND seq < ?',
      id,
      topic * span,
      (topic + 1) * span,
    ) !== undefined
  )
}
