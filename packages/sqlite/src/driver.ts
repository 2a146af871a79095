import type { Health, Transaction } from '@posthorn/core'
import type { Driver, DriverContext, Source, TopicSpec, Traits } from '@posthorn/core/driver'
import { describe, MessagingError } from '@posthorn/core/driver'
import { lagOf, queryOf, shelfOf } from './admin.ts'
import { clientOf, type SqliteClient } from './client.ts'
import { cancel, reschedule } from './delays.ts'
import { aborted, closed } from './errors.ts'
import type { Hub } from './hub.ts'
import type { Place } from './log.ts'
import type { SqliteSettings } from './options.ts'
import { openReplay } from './replay.ts'
import { sendingTo } from './sending.ts'
import { openSource, type SourceHost } from './source.ts'
import { storeOf } from './store.ts'
import { findTopic } from './topic-rows.ts'
import { removeTopic, topicsIn } from './topics.ts'
import { declareTopic, isDeclared } from './topology.ts'
import { openTransaction, refuseInside } from './transaction.ts'
import { upkeepOf } from './upkeep.ts'

/** A connection to an open file: what it opens ends with it. */
export function driverOf(
  hub: Hub,
  settings: SqliteSettings,
  traits: Traits,
  { namespace, topology, clock }: DriverContext,
): Driver<SqliteClient> {
  const sources = new Set<Source>()
  const upkeep = upkeepOf(hub, clock, settings.retentionMs)
  const host: SourceHost & Place = {
    hub,
    namespace,
    clock,
    leaseMs: settings.leaseMs,
    maxBytes: traits.maxBytes,
    ended: (source) => void sources.delete(source),
    keepAlive: upkeep.keepAlive,
  }
  const sending = sendingTo(host)
  let over = false
  const open = (): void => {
    if (over) throw closed(`this connection to ${hub.path}`)
  }
  return {
    client: clientOf(hub),
    store: storeOf(hub, namespace, clock, async () => {}),
    async declare(topic, signal, tx) {
      open()
      if (signal.aborted) throw aborted(`the declaration of ${topic.name}`)
      return declare(hub, namespace, topology, topic, signal, tx)
    },
    send(batch, control) {
      if (over) return Promise.reject(closed(`this connection to ${hub.path}`))
      return sending.send(batch, control)
    },
    withdraw: sending.withdraw,
    async open(subscription, signal) {
      open()
      if (signal.aborted) throw aborted(`the subscription of ${subscription.group}`)
      const source = await (subscription.mode === 'replay' ? openReplay : openSource)(host, subscription)
      if (over || signal.aborted) {
        await source.close()
        throw over ? closed(`this connection to ${hub.path}`) : aborted(`the subscription of ${subscription.group}`)
      }
      sources.add(source)
      return source
    },
    shelf: (topic, group) => shelfOf(hub, namespace, topic.name, group),
    async lag(source, group) {
      open()
      return lagOf(hub, namespace, source, group, clock)
    },
    topics: () => topicsIn(hub, namespace),
    remove: (topic, signal) => removeTopic(hub, namespace, topic, clock, signal),
    query: (source, where, signal) => queryOf(hub, namespace, source, where, signal, clock),
    cancel: (id, topic, tx) => cancel(hub, namespace, id, topic, tx),
    reschedule: (id, topic, notBefore, tx) => reschedule(hub, namespace, id, topic, notBefore, tx, clock),
    refusal: () => refuseInside(hub.path),
    health: () => checksOf(hub, over),
    async close() {
      if (over) return
      over = true
      upkeep.stop()
      await Promise.all([...sources].map((source) => source.close()))
      await Promise.race([
        hub.release().catch(() => {}),
        new Promise((resolve) => clock.after(4_500, () => resolve(undefined), { unref: true })),
      ])
    },
  }
}

async function declare(
  hub: Hub,
  namespace: string,
  topology: DriverContext['topology'],
  topic: TopicSpec,
  signal: AbortSignal,
  tx: Transaction | undefined,
): Promise<void> {
  if (topic.on !== undefined)
    throw new MessagingError(
      'unsupported',
      `the topic ${topic.name} has on.sqlite, and SQLite has no topics of others; leave it away, and read your own tables by tx.query`,
    )
  if (tx !== undefined && topology === 'declare') {
    // The writer would wait for that transaction to end, and the transaction for this.
    const { sql } = await openTransaction(tx, hub.path).work()
    if (!isDeclared(sql, namespace, topic)) declareTopic(sql, namespace, topic)
    return
  }
  if (topology === 'none' || (await hub.read((sql) => isDeclared(sql, namespace, topic)))) return
  if (topology === 'declare') {
    await hub.writer.write(({ sql }) => declareTopic(sql, namespace, topic), { signal })
    return
  }
  if ((await hub.read((sql) => findTopic(sql, namespace, topic.name))) === undefined)
    throw new MessagingError(
      'not-found',
      `${hub.path} has no topic ${topic.name}; declare it first, or connect with topology: 'declare'`,
    )
}

async function checksOf(hub: Hub, over: boolean): Promise<Health['checks']> {
  const connection = { name: 'connection', ok: !over, detail: over ? 'closed' : `${hub.path} is open` }
  if (over) return [connection]
  const trouble = await hub
    .read((sql) => sql.row('SELECT 1 FROM posthorn_meta'))
    .then(
      () => undefined,
      (error: unknown) => describe(error),
    )
  const file = { name: 'file', ok: trouble === undefined, detail: trouble ?? 'can be read' }
  const { heldSince, waitsSince, queued } = hub.writer
  const since = heldSince ?? waitsSince
  if (since === undefined) return [connection, file]
  const ms = Date.now() - since
  const whose = heldSince === undefined ? 'another handle or process has kept one open' : 'one of ours is open'
  const detail = `${whose} for ${ms} ms; ${queued} writes wait for its end`
  return [connection, file, { name: 'transaction', ok: ms < 10_000, detail }]
}
