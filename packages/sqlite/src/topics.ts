import { type Clock, type ListedTopic, noSuchTopic, topicIsRead } from '@posthorn/core/driver'
import { aborted } from './errors.ts'
import type { Hub } from './hub.ts'
import type { Sql } from './sql.ts'
import { findTopic, span, topicFrom } from './topic-rows.ts'
import { dropGroup } from './topology.ts'
import { mustBeOutside } from './transaction.ts'

/** Messages that one transaction takes away: a long log must not hold the event loop, nor the file. */
const most = 2_000

/** Every topic of a namespace with its groups; those of patterns are not, nor who reads alone by broadcast. */
export function topicsIn(hub: Hub, ns: string): Promise<readonly ListedTopic[]> {
  return hub.read((sql) =>
    sql
      .rows('SELECT * FROM posthorn_topic WHERE ns = ? AND reply = 0 ORDER BY name', ns)
      .map(topicFrom)
      .map(({ name, partitions }) => ({
        name,
        partitions: partitions ?? 1,
        groups: groupsOf(sql, ns, name)
          .filter(({ lasting }) => lasting)
          .map((group) => group.name),
      })),
  )
}

interface GroupRow {
  readonly id: number
  readonly name: string
  /** It does not end with its member. */
  readonly lasting: boolean
}

function groupsOf(sql: Sql, ns: string, topic: string): readonly GroupRow[] {
  return sql
    .rows(
      "SELECT id, name, alive FROM posthorn_group WHERE ns = ? AND kind = 't' AND source = ? ORDER BY name",
      ns,
      topic,
    )
    .map((row) => ({ id: row['id'] as number, name: row['name'] as string, lasting: row['alive'] === null }))
}

/** Ends a topic. Its messages go by and by, it and its groups with the last of them in one commit, so that its number is free only then. */
export async function removeTopic(
  hub: Hub,
  ns: string,
  name: string,
  clock: Clock,
  signal: AbortSignal,
): Promise<void> {
  mustBeOutside(hub.path, 'the end of a topic')
  for (;;) {
    if (signal.aborted) throw aborted(`the removal of ${name}`)
    const more = await hub.writer.write(
      ({ sql, ends }) => {
        const id = removable(sql, ns, name, clock.now(), hub.path)
        if (cut(sql, id) === most) return true
        end(sql, ns, name, id)
        ends?.forget()
        return false
      },
      { signal },
    )
    if (!more) return
  }
}

/** The number of the topic, if nobody has a message of it in hand. Who waits for one is not known. */
function removable(sql: Sql, ns: string, name: string, now: number, path: string): number {
  const topic = findTopic(sql, ns, name)
  if (topic === undefined || topic.reply) throw noSuchTopic(name, path)
  const read = groupsOf(sql, ns, name).filter(
    ({ id }) =>
      sql.row('SELECT 1 FROM posthorn_claim WHERE grp = ? AND until > ? AND remaining > 0 LIMIT 1', id, now) !==
      undefined,
  )
  if (read.length > 0)
    throw topicIsRead(
      name,
      read.map((group) => group.name),
    )
  return topic.id
}

/** Takes the oldest messages away. How many. */
function cut(sql: Sql, id: number): number {
  const range = [id * span, (id + 1) * span] as const
  return sql.run(
    'DELETE FROM posthorn_message WHERE seq IN (SELECT seq FROM posthorn_message WHERE seq > ? AND seq < ? ORDER BY seq LIMIT ?)',
    ...range,
    most,
  )
}

function end(sql: Sql, ns: string, name: string, id: number): void {
  for (const group of groupsOf(sql, ns, name)) dropGroup(sql, group.id)
  // What is left are groups of patterns.
  for (const { grp } of sql.rows('SELECT grp FROM posthorn_cursor WHERE topic = ?', id))
    sql.run(
      'DELETE FROM posthorn_delivery WHERE grp = ? AND ord > ? AND ord < ?',
      grp as number,
      id * span,
      (id + 1) * span,
    )
  sql.run('DELETE FROM posthorn_cursor WHERE topic = ?', id)
  sql.run('DELETE FROM posthorn_delayed INDEXED BY posthorn_delayed_id WHERE topic = ?', id)
  sql.run('DELETE FROM posthorn_letter INDEXED BY posthorn_letter_shelf WHERE ns = ? AND topic = ?', ns, name)
  sql.run('DELETE FROM posthorn_topic WHERE id = ?', id)
}
