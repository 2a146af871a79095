import type {
  Dispatch,
  Driver,
  DriverContext,
  From,
  SendControl,
  SendResult,
  Subscription,
  Traits,
} from '@posthorn/core/driver'
import { MessagingError, patience, patiently } from '@posthorn/core/driver'
import type { ChannelModel } from 'amqplib'
import { backlogOf, shelfIn } from './admin.ts'
import { propertiesOf } from './convert.ts'
import { type Declaring, declareTopic, provide } from './declaring.ts'
import { closed, isMissing, madeAgain } from './errors.ts'

import type { Outgoing } from './frames.ts'
import { healthOf, openLinks } from './links.ts'
import type { NoteStore } from './marks.ts'
import { namesIn } from './names.ts'
import { notesOf } from './notes.ts'
import { mappingOf, type RabbitSettings } from './options.ts'
import { apart, lacksLadder, placed } from './placing.ts'
import { routesOf } from './routes.ts'
import { senderOn } from './sender.ts'
import { type OpenSource, openSource, type SourceHost, type Tries } from './source.ts'
import { readingOf } from './subscribing.ts'
import { removeTopic, topicsIn } from './topics.ts'
import { onChannel } from './topology.ts'
import { recheckMs, verifying } from './verifying.ts'
import { arePlaced, type Progress, withdrawing } from './withdrawing.ts'

/** The client behind the driver: `broker.driver.client`. */
export interface RabbitClient {
  /** The open connection that messages are sent on, if there is one just now. */
  readonly sending: ChannelModel | undefined
  /** The open connection that messages are read on, if there is one just now. */
  readonly consuming: ChannelModel | undefined
}

/** Largest body: the broker's default for a whole message, less what headers may have. */
export const maxBytes = 16 * 1_048_576 - 65_536

/** Of the last try, when the time for connecting is over: a broker that is there answers in it. */
const lastTryMs = 500

/** Opens the sending connection; the consuming one follows with the first subscription. */
export async function connectTo(settings: RabbitSettings, context: DriverContext): Promise<Driver<RabbitClient>> {
  const names = namesIn(context.namespace)
  const routes = routesOf(names, settings.queueType !== 'classic')
  const { clock } = context
  let over = false
  const links = openLinks(settings, context, (reason) => sender.block(reason))
  const { sending, consuming } = links
  const sender = senderOn(sending, maxBytes)
  const sources = new Set<OpenSource>()
  // A broker that starts beside this process is waited for; a connection that was given does not come back.
  const first = await (settings.connection === undefined
    ? patiently(patience(context), context.signal, (leftMs) => sending.model(Math.max(leftMs, lastTryMs)))
    : sending.model())
  const { version: full = '' } = first.connection.serverProperties
  const version = Number.parseInt(full, 10)
  const declaring: Declaring = {
    // A connection for publishing is read from slowly where much is published, and not at all where it is blocked: who consumes must get on, to make
    // room. Asked each time, never copied.
    get link() {
      return sending.blocked === undefined && consuming.current === undefined ? sending : consuming
    },
    writes: sending,
    names,
    routes,
    settings,
    context,
    version,
  }
  let ladderAt = clock.now()
  const verified = verifying(clock, async (topic) => {
    if (over || context.topology === 'none') return
    await declareTopic(declaring, topic, context.signal)
    // Without a level's queue what it should keep goes down at once. All topics share the levels.
    if (routes.top === undefined || clock.now() - ladderAt < recheckMs) return
    ladderAt = clock.now()
    await provide(declaring, { need: 'level', level: routes.top }, context.signal)
  })
  const open = (): void => {
    if (over) throw closed('this connection to RabbitMQ')
  }
  // Quorum queues have priorities from 4.0 on, classic ones always had them.
  const lacks: Partial<Traits> = settings.queueType === 'quorum' && version < 4 ? { priority: false } : {}

  const underWay = withdrawing()
  const tries: Tries = new Map()
  const positions = new Map<string, From>()
  const again: SourceHost['again'] = async (queue, arrival, failures, history) => {
    const copy: Dispatch = { ...arrival, failures, history, generation: arrival.generation + 1 }
    const outgoing: Outgoing = {
      id: copy.id,
      exchange: '',
      key: queue,
      body: copy.body,
      properties: propertiesOf(copy, names, clock.now()),
    }
    const [result] = await sender.send([outgoing], AbortSignal.timeout(againMs))
    return result?.ok === true
  }

  /** A queue of ours in order; who may not make a stream counts by copies. */
  function notesFor({ source, group, mode, order }: Subscription): NoteStore | undefined {
    if (mode !== 'shared' || order === 'none' || 'pattern' in source || source.on !== undefined) return undefined
    return context.topology === 'declare' ? notesOf(declaring, sender, source.name, group) : undefined
  }

  async function send(
    batch: readonly Dispatch[],
    progress: Progress,
    signal: AbortSignal,
  ): Promise<readonly SendResult[]> {
    const out = await placed(declaring, batch, signal)
    arePlaced(progress, batch, out)
    const ready = out.filter((each): each is Outgoing => !(each instanceof MessagingError))
    const results = await sender.send(ready, signal)
    if (ready.length === out.length) return results
    let next = 0
    return out.map(
      (each): SendResult =>
        each instanceof MessagingError ? { ok: false, error: each } : (results[next++] as SendResult),
    )
  }

  /** What was known to be there, and was not, is made again where that is for us to do: then the message may be tried again. */
  function sought(message: Dispatch, result: SendResult): SendResult {
    if (result.ok || !isMissing(result.error)) return result
    const asked = routes.missed(message)
    const known = message.letter === undefined && verified.missed(message.topic)
    return context.topology === 'declare' && (asked || known) ? { ok: false, error: madeAgain(result.error) } : result
  }

  return {
    lacks,
    client: {
      get sending() {
        return sending.current
      },
      get consuming() {
        return consuming.current
      },
    },
    async declare(topic, signal) {
      open()
      await declareTopic(declaring, topic, signal)
      verified.declared(topic)
    },
    async send(batch, { signal, atomic, tx }: SendControl) {
      if (over) return batch.map(() => ({ ok: false, error: closed('this connection to RabbitMQ') }))
      if (atomic === true || tx !== undefined)
        throw new MessagingError(
          'unsupported',
          "RabbitMQ's transactions are not atomic, so a batch cannot be sent all or none; use a store's outbox ({ tx })",
        )
      for (const [i, { topic }] of batch.entries()) if (i === 0 || topic !== batch[i - 1]?.topic) verified.sent(topic)
      const progress = underWay.begun(batch)
      try {
        const results = await apart(
          batch,
          (message) => lacksLadder(declaring, message),
          (part) => send(part, progress, signal),
        )
        return results.every(({ ok }) => ok) ? results : results.map((each, i) => sought(batch[i] as Dispatch, each))
      } finally {
        underWay.answered(progress)
      }
    },
    withdraw: underWay.withdraw,
    async open(subscription, signal) {
      open()
      refuse(subscription)
      const reading = readingOf({ declaring, consuming, sender, positions }, subscription, signal)
      const source = await openSource(subscription, reading, {
        again,
        tries,
        notes: notesFor(subscription),
        ended: (ended) => void sources.delete(ended),
      })
      sources.add(source)
      if (over) await source.close()
      return source
    },
    shelf: (topic, group) => shelfIn({ link: consuming, clock, names, topic: topic.name, group }),
    async lag(source, group, signal) {
      open()
      const name = 'pattern' in source ? source.pattern : source.name
      let queues = 'pattern' in source ? [names.queue(name, group)] : routes.groupQueues(name, group)
      if (queues === undefined) {
        await provide(declaring, { need: 'group', topic: name, group, partitions: routes.partitionsOf(name) }, signal)
        queues = routes.groupQueues(name, group)
      }
      const known = queues === undefined || queues === 'delivery' ? [names.queue(name, group)] : queues
      const lag = await onChannel(declaring.link, clock, `the lag of ${group} on ${name}`, signal, (channel) =>
        backlogOf(channel, known),
      )
      const ours = [...sources].filter((each) => each.subscription.group === group && nameOf(each) === name)
      return { ...lag, backlog: lag.backlog + ours.reduce((sum, each) => sum + each.unsettled, 0) }
    },
    topics: (signal) => topicsIn(declaring, signal),
    async remove(topic, signal) {
      await removeTopic(declaring, topic, signal)
      verified.forget(topic)
    },
    async health() {
      const troubled = [...sources].find((each) => each.trouble !== undefined)
      return [
        healthOf('rabbitmq sending', sending, { over, needed: !over, trouble: verified.trouble }),
        healthOf('rabbitmq consuming', consuming, { over, needed: sources.size > 0, trouble: troubled?.trouble }),
      ]
    },
    async close() {
      if (over) return
      over = true
      await Promise.all([...sources].map((source) => source.close()))
      await Promise.all([sending.close(), consuming.close()])
    },
  }
}

/** How long a copy may take before the message itself is given back, without its tries. */
const againMs = 10_000

const nameOf = ({ subscription: { source } }: OpenSource): string =>
  'pattern' in source ? source.pattern : source.name

function refuse({ mode, from, group, source }: Subscription): void {
  if (mode === 'broadcast' && 'name' in source && mappingOf(source.on, source.name)?.stream !== undefined) return
  if (mode === 'replay')
    throw new MessagingError('unsupported', 'RabbitMQ queues keep no history, so nothing can be replayed')
  if (typeof from === 'object')
    throw new MessagingError(
      'unsupported',
      `group ${group}: RabbitMQ queues keep no history, so a group starts with what is sent once its queue is there; leave from out`,
    )
}
