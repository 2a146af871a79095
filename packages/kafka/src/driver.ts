import { MessagingError } from '@posthorn/core'
import type { Driver, DriverContext, Source } from '@posthorn/core/driver'
import { lagOf, queryOf } from './admin.ts'
import type { KafkaClient } from './clients/port.ts'
import { clusterMap } from './cluster.ts'
import { type Fault, faultOf, messagingError } from './errors.ts'
import { instances } from './instances.ts'
import { names as namesOf } from './names.ts'
import type { Settings } from './options.ts'
import { privateSource } from './private-source.ts'
import { aborted } from './producer.ts'
import { over, sending } from './sending.ts'
import { shelf } from './shelf.ts'
import { type GroupSource, groupSource } from './source.ts'
import { removeTopic, topicsIn } from './topics.ts'
import { topology } from './topology.ts'

/** How long one request may take before its connection counts as dead. */
export const requestTimeoutMs = 10_000

type OpenSource = Source & Partial<Pick<GroupSource, 'group' | 'appeared' | 'flush'>> & { readonly consuming: boolean }

/** The driver over a client whose first connection stands. */
export async function kafkaDriver<Client>(
  client: KafkaClient<Client>,
  settings: Settings,
  context: DriverContext,
): Promise<Driver<Client>> {
  const { clock } = context
  const cluster = clusterMap(client.wire(), clock)
  const names = namesOf(context.namespace)
  const appeared = (topic: string): void => {
    for (const source of sources) source.appeared?.(topic)
  }
  const layout = topology({ cluster, names, settings, mode: context.topology, appeared })
  const sources = new Set<OpenSource>()
  const places = new Map<string, ReadonlyMap<string, number>>()
  const instanceOf = instances(settings.instance)
  /** Memberships whose consumers could not take leave of their group, by group and consumer. */
  const former = new Map<string, string>()
  const closing = new AbortController()
  const now = (): number => clock.now()

  let up = true
  const report = (fault: Fault | undefined): void => {
    if ((fault === undefined) === up || closing.signal.aborted) return
    up = fault === undefined
    context.report(
      fault === undefined
        ? { event: 'connected' }
        : { event: 'disconnected', error: messagingError(fault, 'the connection to Kafka was lost') },
    )
  }
  const outgoing = sending({
    cluster,
    clock,
    names,
    layout,
    settings,
    requestTimeoutMs,
    report,
    closing: closing.signal,
  })
  const opened = <S extends OpenSource>(source: S): S => {
    sources.add(source)
    return source
  }
  try {
    await connect(cluster.anyNode, context)
  } catch (error) {
    await cluster.wire.close()
    await client.close().catch(() => {})
    throw error
  }
  let closed: Promise<void> | undefined
  const close = async (): Promise<void> => {
    closing.abort()
    await Promise.all([...sources].map((source) => source.close().catch(() => {})))
    await cluster.wire.close()
    await client.close().catch(() => {})
  }
  return {
    client: client.native,
    async declare(topic, signal) {
      const work = layout.declare(topic)
      if (await aborted(work, signal)) throw new MessagingError('aborted', `declaring ${topic.name} was given up`)
    },
    send: outgoing.send,
    withdraw: outgoing.withdraw,
    async open(subscription, signal) {
      if (closing.signal.aborted) throw over()
      const { source: spec, group, mode } = subscription
      if (mode === 'shared' && 'name' in spec) {
        try {
          await outgoing.prepareGroup(spec.name, group)
        } catch (error) {
          throw messagingError(error, `what ${group} needs beside ${spec.name} could not be made`)
        }
      }
      const mine = clusterMap(client.wire(), clock)
      const base = { cluster: mine, clock, names }
      const instance = mode === 'shared' ? instanceOf(names.group(spec, group)) : undefined
      let source: OpenSource | undefined
      const me = `${mode} ${group} ${subscription.member}`
      const forget = (): void => {
        instance?.free()
        if (source !== undefined) sources.delete(source)
      }
      const closed = (left: string): void => {
        forget()
        if (left === '') former.delete(me)
        else former.set(me, left)
      }
      const { sessionMs, drainMs } = settings
      try {
        source =
          mode === 'shared'
            ? await groupSource(
                subscription,
                {
                  ...base,
                  sessionMs,
                  instance,
                  drainMs,
                  transact: outgoing.transact,
                  former: former.get(me) ?? '',
                  closed,
                },
                signal,
              )
            : await privateSource(subscription, {
                ...base,
                places,
                prepareReplies: outgoing.prepareReplies,
                closed: forget,
              })
      } catch (error) {
        forget()
        throw error
      }
      return opened(source)
    },
    shelf: (topic, group) => shelf(topic, group, { cluster, names, write: outgoing.write, now }),
    async lag(topic, group) {
      // Offsets are committed with a delay: what was finished here is told first.
      const id = names.group(topic, group)
      await Promise.all([...sources].map((source) => (source.group === id ? source.flush?.() : undefined)))
      return lagOf({ cluster, names, now }, topic, group)
    },
    topics: () => topicsIn({ cluster, names }),
    async remove(topic, signal) {
      outgoing.forget(await removeTopic({ cluster, names }, topic, signal))
    },
    query: (topic, where, signal) => queryOf({ cluster, names, now }, topic, where, signal),
    async health() {
      const checks = [await reachable(cluster.anyNode, cluster.wire.coordinator)]
      for (const source of sources)
        checks.push({
          name: `reading ${source.group ?? 'privately'}`,
          ok: source.consuming,
          detail: source.consuming ? 'a member of its group' : 'not a member of its group at the moment',
        })
      return checks
    },
    close() {
      closed ??= close()
      return closed
    },
  }
}

async function connect(
  first: () => Promise<number>,
  { clock, connectTimeoutMs, signal }: DriverContext,
): Promise<void> {
  const until = clock.now() + connectTimeoutMs
  for (;;) {
    try {
      const deadline = new AbortController()
      const cancel = clock.after(Math.max(1, until - clock.now()), () => deadline.abort())
      const answer = first()
      // Whoever gave up does not hear of it any more, and nobody else may have to.
      answer.catch(() => {})
      const late = await aborted(answer, AbortSignal.any([deadline.signal, signal])).finally(cancel)
      if (!late) return
      if (signal.aborted) throw new MessagingError('aborted', 'connecting to Kafka was aborted')
      throw new MessagingError('unavailable', `no broker of Kafka answered within ${connectTimeoutMs} ms; ${nobody}`)
    } catch (error) {
      const fault = faultOf(error)
      const passing =
        !(error instanceof MessagingError) &&
        (fault.kind === 'refused' || fault.kind === 'connection' || /COORDINATOR|LOAD/.test(fault.type))
      if (!passing || signal.aborted || clock.now() + 200 > until) throw unreached(error)
      await new Promise<void>((resolve) => void clock.after(200, resolve))
    }
  }
}

const nobody =
  'is it running, are its address and its advertised one right? connectTimeoutMs says how long to wait for it'

/** A connection that did not come about; where nobody was there, with what to look at. */
function unreached(error: unknown): MessagingError {
  const ours = messagingError(error, 'Kafka could not be reached')
  if (ours === error || ours.code !== 'unavailable') return ours
  return new MessagingError('unavailable', `${ours.message}; ${nobody}`, { cause: error })
}

async function reachable(
  node: () => Promise<number>,
  ask: (of: 'group', id: string) => Promise<number>,
): Promise<{ name: string; ok: boolean; detail: string }> {
  try {
    await node()
    const timeout = AbortSignal.timeout(3_000)
    if (await aborted(ask('group', 'posthorn'), timeout)) throw new Error('no answer within 3 s')
    return { name: 'connection', ok: true, detail: 'a broker answers' }
  } catch (error) {
    return { name: 'connection', ok: false, detail: faultOf(error).message }
  }
}
