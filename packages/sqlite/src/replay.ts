import type { Source, Subscription } from '@posthorn/core/driver'
import { compileFilter, type Filterable } from '@posthorn/core/driver'
import { breath, page, shown } from './admin.ts'
import type { Delivery } from './convert.ts'
import { at, deliveryColumns } from './convert.ts'
import { closed } from './errors.ts'
import type { Hub } from './hub.ts'
import { promoteAll } from './log.ts'
import { startOf, stopOf } from './positions.ts'
import { refusing, type SourceHost } from './source.ts'
import type { TopicRow } from './topic-rows.ts'
import { everything, nameOf, topicsOf } from './topology.ts'

interface Part {
  readonly topic: TopicRow
  /** Read up to here. */
  seq: number
  readonly last: number
}

/** Reads history once, alone; copies to one group are not part of it. `to` is the last that is read. */
export async function openReplay(host: SourceHost, subscription: Subscription): Promise<Source> {
  const { hub, namespace, clock } = host
  const { source, to, report } = subscription
  const matches = subscription.filter === undefined ? everything : compileFilter(subscription.filter)
  const start = (from: Subscription['from']): Promise<Part[]> =>
    refusing(report, source, () =>
      hub.read((sql) =>
        topicsOf(sql, namespace, source, hub.path).map((topic) => ({
          topic,
          seq: startOf(sql, topic, from),
          last: stopOf(sql, topic, to),
        })),
      ),
    )
  await promoteAll(hub, clock.now())
  let parts = await start(subscription.from)
  let over = false
  const self: Source = {
    async receive(max, signal) {
      if (over) throw closed(`the replay of ${nameOf(source)}`)
      const out: Delivery[] = []
      for (const part of parts) {
        while (part.seq < part.last && out.length < max) {
          if (signal.aborted && out.length === 0) return []
          await readOn(hub, part, matches, max, out)
        }
      }
      return out
    },
    settle: async (batch) => batch.map(() => 'ok' as const),
    async seek(from) {
      parts = await start(from)
    },
    async close() {
      over = true
      parts = []
      host.ended(self)
    },
  }
  return self
}

/** One page of a part; what a filter leaves over of it is not read twice, and after a page of which nothing is left others have a turn. */
async function readOn(
  hub: Hub,
  part: Part,
  matches: (message: Filterable) => boolean,
  max: number,
  out: Delivery[],
): Promise<void> {
  const before = out.length
  const most = matches === everything ? max - before : page
  const rows = await hub.read((sql) =>
    sql.lists(
      `SELECT ${deliveryColumns} FROM posthorn_message WHERE seq > ? AND seq <= ? ORDER BY seq LIMIT ?`,
      part.seq,
      part.last,
      most,
    ),
  )
  for (const row of rows) {
    if (out.length === max) return
    part.seq = row[at.seq] as number
    if (row[at.grp] !== null) continue
    const message = shown(row, part.topic)
    if (matches(message)) out.push(message)
  }
  if (rows.length < most) part.seq = part.last
  else if (out.length === before) await breath()
}
