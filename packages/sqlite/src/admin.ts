import {
  type Arrival,
  type Clock,
  type DriverLag,
  type DriverQuery,
  noSuchShelf,
  type PatternSpec,
  type Shelf,
  type ShelvedLetter,
  type TopicSpec,
} from '@posthorn/core/driver'
import { at, Delivery, deliveryColumns, headFrom, type MessageRow, messageColumns } from './convert.ts'
import type { Hub } from './hub.ts'
import { promoteAll } from './log.ts'
import { startOf, stopOf } from './positions.ts'
import type { Sql } from './sql.ts'
import { span, type TopicRow } from './topic-rows.ts'
import { everything, type Group, groupFrom, groupRow, topicsOf } from './topology.ts'
import { mustBeOutside } from './transaction.ts'

/** Rows that one turn of the event loop reads. */
export const page = 500

/** Rows that one turn counts, which is quicker. */
const countedAtOnce = 20_000
const countPage = `SELECT max(seq) AS last, count(*) FILTER (WHERE mine) AS n, min(at) FILTER (WHERE mine) AS at
  FROM (SELECT seq, at, grp IS NULL OR grp = ?4 AS mine FROM posthorn_message WHERE seq > ?1 AND seq < ?2 ORDER BY seq LIMIT ?3)`

/** Rows among which one turn looks for an id or a key: neither has an index, which each send would pay for. */
const scannedAtOnce = 10_000
const endOfScan = `SELECT max(seq) FROM (
  SELECT seq FROM posthorn_message WHERE seq > ? AND seq <= ? ORDER BY seq LIMIT ?)`
const found = `SELECT ${deliveryColumns} FROM posthorn_message WHERE seq > ?1 AND seq <= ?2 AND grp IS NULL
  AND (?3 IS NULL OR id = ?3) AND (?4 IS NULL OR key = ?4) ORDER BY seq LIMIT ?5`

/** A turn for others between two pages. */
export function breath(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve))
}

/** What waits for a group; one that nobody has joined would have everything. */
export async function lagOf(
  hub: Hub,
  ns: string,
  source: TopicSpec | PatternSpec,
  name: string,
  clock: Clock,
): Promise<DriverLag> {
  await promoteAll(hub, clock.now())
  const start = await hub.read((sql) => {
    const row = groupRow(sql, ns, source, name)
    const group = row === undefined ? undefined : groupFrom(sql, row)
    const topics = topicsOf(sql, ns, source, hub.path)
    return { group, topics, ...takenIn(sql, group, topics) }
  })
  let { backlog, oldest } = start
  for (const topic of start.topics) {
    const from = await hub.read((sql) => cursorOf(sql, start.group, topic))
    const found = await waitingIn(hub, topic, from, start.group, name)
    backlog += found.backlog
    oldest = Math.min(oldest, found.oldest)
  }
  const oldestMs = oldest === Number.POSITIVE_INFINITY ? undefined : Math.max(0, clock.now() - oldest)
  // Nothing that a group has not settled is ever trimmed.
  return { backlog, oldestMs, lostInMs: undefined }
}

function takenIn(sql: Sql, group: Group | undefined, topics: readonly TopicRow[]): { backlog: number; oldest: number } {
  let backlog = 0
  let oldest = Number.POSITIVE_INFINITY
  if (group === undefined) return { backlog, oldest }
  for (const { id } of topics) {
    const row = sql.row(
      'SELECT count(*) AS n, min(ord) AS first FROM posthorn_delivery WHERE grp = ? AND ord > ? AND ord < ?',
      group.id,
      id * span,
      (id + 1) * span,
    )
    backlog += row?.['n'] as number
    const at =
      row?.['first'] == null ? undefined : sql.row('SELECT at FROM posthorn_message WHERE seq = ?', row['first'])
    if (at !== undefined) oldest = Math.min(oldest, at['at'] as number)
  }
  return { backlog, oldest }
}

function cursorOf(sql: Sql, group: Group | undefined, topic: TopicRow): number {
  const row =
    group === undefined
      ? undefined
      : sql.row('SELECT at FROM posthorn_cursor WHERE grp = ? AND topic = ?', group.id, topic.id)
  return (row?.['at'] as number | undefined) ?? topic.id * span
}

async function waitingIn(
  hub: Hub,
  topic: TopicRow,
  from: number,
  group: Group | undefined,
  name: string,
): Promise<{ backlog: number; oldest: number }> {
  const end = (topic.id + 1) * span
  if (group === undefined || group.matches === everything) return countedIn(hub, from, end, name)
  let backlog = 0
  let oldest = Number.POSITIVE_INFINITY
  for (let seq = from; ; await breath()) {
    const rows = await hub.read((sql) =>
      sql.lists(
        `SELECT seq, grp, id, key, tag, NULL, type, sent, head, at FROM posthorn_message
        WHERE seq > ? AND seq < ? ORDER BY seq LIMIT ?`,
        seq,
        end,
        page,
      ),
    )
    for (const row of rows) {
      seq = row[at.seq] as number
      if (row[at.grp] !== null && row[at.grp] !== name) continue
      if (!group.matches(shown(row, topic))) continue
      backlog++
      oldest = Math.min(oldest, row.at(-1) as number)
    }
    if (rows.length < page) return { backlog, oldest }
  }
}

async function countedIn(
  hub: Hub,
  from: number,
  end: number,
  name: string,
): Promise<{ backlog: number; oldest: number }> {
  let backlog = 0
  let oldest = Number.POSITIVE_INFINITY
  for (let seq = from; ; await breath()) {
    const row = await hub.read((sql) => sql.row(countPage, seq, end, countedAtOnce, name))
    if (row?.['last'] == null) return { backlog, oldest }
    backlog += row['n'] as number
    oldest = Math.min(oldest, (row['at'] as number | null) ?? oldest)
    seq = row['last'] as number
  }
}

/** A stored message as it is shown to who has no group. */
export function shown(row: MessageRow, topic: Pick<TopicRow, 'name'>): Delivery {
  return new Delivery(row, topic.name, (row[at.seq] as number) % span)
}

/** Stored messages, oldest first, as of now; copies to one group are not stored messages. */
export async function* queryOf(
  hub: Hub,
  ns: string,
  source: TopicSpec | PatternSpec,
  { id, key, from, to }: DriverQuery,
  signal: AbortSignal,
  clock: Clock,
): AsyncIterable<Arrival> {
  await promoteAll(hub, clock.now())
  const parts = await hub.read((sql) =>
    topicsOf(sql, ns, source, hub.path).map((topic) => ({
      topic,
      first: startOf(sql, topic, from === undefined ? 'earliest' : { time: from }),
      last: stopOf(sql, topic, to === undefined ? undefined : { time: to }),
    })),
  )
  const most = id === undefined && key === undefined ? page : scannedAtOnce
  for (const { topic, first, last } of parts) {
    for (let seq = first; seq < last; await breath()) {
      if (signal.aborted) return
      const end = await hub.read((sql) => sql.list(endOfScan, seq, last, most)?.[0] as number | null)
      if (end === null) break
      const rows = await hub.read((sql) => sql.lists(found, seq, end, id ?? null, key ?? null, page))
      for (const row of rows) {
        if (signal.aborted) return
        yield shown(row, topic)
      }
      seq = rows.length < page ? end : (rows.at(-1)?.[at.seq] as number)
    }
  }
}

/** The dead letters of a topic and a group. */
export function shelfOf(hub: Hub, ns: string, topic: string, group: string | undefined): Shelf {
  const of = [ns, topic, group ?? null] as const
  return {
    async *list(signal): AsyncIterable<ShelvedLetter> {
      const last = await hub.read(
        (sql) =>
          sql.row('SELECT max(no) AS no FROM posthorn_letter WHERE ns = ? AND topic = ? AND grp IS ?', ...of)?.['no'] as
            | number
            | null,
      )
      if (last === null && group !== undefined && !(await knowsGroup(hub, ns, group))) throw noSuchShelf(topic, group)
      for (let no = 0; last !== null && no < last; await breath()) {
        const rows = await hub.read((sql) =>
          sql.lists(
            `SELECT no, NULL, ${messageColumns} FROM posthorn_letter
            WHERE ns = ? AND topic = ? AND grp IS ? AND no > ? AND no <= ? ORDER BY no LIMIT ?`,
            ...of,
            no,
            last,
            page,
          ),
        )
        for (const row of rows) {
          if (signal.aborted) return
          no = row[at.seq] as number
          const { letter } = headFrom(row[at.head])
          const message = new Delivery(row, topic, no)
          if (letter !== undefined) yield { token: no, message, letter, group }
        }
        if (rows.length < page) return
      }
    },
    async remove(tokens) {
      mustBeOutside(hub.path, 'a dead letter that is taken away')
      const numbers = tokens.filter((each): each is number => typeof each === 'number')
      await hub.writer.write(({ sql }) => {
        for (const no of numbers)
          sql.run('DELETE FROM posthorn_letter WHERE no = ?4 AND ns = ?1 AND topic = ?2 AND grp IS ?3', ...of, no)
      })
    },
  }
}

/** Whether a group of this name reads anything: one that reads by a pattern has its letters with each topic. */
async function knowsGroup(hub: Hub, ns: string, name: string): Promise<boolean> {
  const found = await hub.read((sql) =>
    sql.row('SELECT 1 FROM posthorn_group WHERE ns = ? AND name = ? LIMIT 1', ns, name),
  )
  return found !== undefined
}
