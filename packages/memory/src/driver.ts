import type { Dispatch, Driver, DriverContext, SendResult, Source, Traits } from '@posthorn/core/driver'
import { MessagingError } from '@posthorn/core/driver'
import { lagOf, queryOf, removeTopic, shelfOf, shelve, topicsIn } from './admin.ts'
import type { MemoryClient } from './client.ts'
import { cancel, delay, reschedule } from './delays.ts'
import { aborted, closed, undeclared } from './errors.ts'
import { append, type Log, rouseReaders, type Space, spaceOf } from './log.ts'
import { openReplay } from './replay.ts'
import { openSource, type SourceHost } from './source.ts'
import { storeOf } from './store.ts'
import type { TopicLog } from './topic.ts'
import { declareTopic } from './topology.ts'
import { openTransaction } from './transaction.ts'

/** Opens a connection to a log: what it opens ends with it, the log does not. */
export function connectTo(
  log: Log,
  traits: Traits,
  client: MemoryClient,
  context: DriverContext,
): Driver<MemoryClient> {
  const space = spaceOf(log, context.namespace)
  const sources = new Set<Source>()
  const alive = keepAlive()
  let over = false
  const open = (): void => {
    if (over) throw closed('this connection to the memory log')
  }
  const host: SourceHost = {
    space,
    leaseMs: traits.leaseMs ?? 30_000,
    place(messages) {
      const errors = messages.flatMap((message) => refusal(space, traits, message) ?? [])
      if (errors.length === 0) placeAll(space, messages)
      return errors
    },
    ended(source) {
      sources.delete(source)
      if (sources.size === 0) alive.end()
    },
  }
  return {
    client,
    store: storeOf(log),
    async declare(topic, signal) {
      open()
      if (signal.aborted) throw aborted(`the declaration of ${topic.name}`)
      if (context.topology === 'declare') declareTopic(space, topic)
      else if (context.topology === 'check' && !space.topics.has(topic.name))
        throw new MessagingError(
          'not-found',
          `the memory log has no topic ${topic.name}; declare it first, or connect with topology: 'declare'`,
        )
    },
    async send(batch, { signal, atomic, tx }) {
      open()
      log.activity++
      if (signal.aborted) return batch.map(() => ({ ok: false, error: aborted('the send') }))
      const refusals = batch.map((message) => refusal(space, traits, message))
      if (tx !== undefined) return sendLater(space, batch, refusals, openTransaction(tx))
      const first = refusals.find((each) => each !== undefined)
      if (atomic === true && first !== undefined)
        return refusals.map((error) => ({ ok: false, error: error ?? withThem(first) }))
      const good = first === undefined ? batch : batch.filter((_, i) => refusals[i] === undefined)
      const positions = placeAll(space, good)
      let next = 0
      return refusals.map(
        (error): SendResult => (error === undefined ? { ok: true, position: positions[next++] } : { ok: false, error }),
      )
    },
    async open(subscription, signal) {
      open()
      if (signal.aborted) throw aborted(`the subscription of ${subscription.group}`)
      const source = subscription.mode === 'replay' ? openReplay(host, subscription) : openSource(host, subscription)
      sources.add(source)
      alive.begin()
      return source
    },
    shelf: (topic, group) => shelfOf(space, topic.name, group),
    lag: async (source, group) => {
      open()
      return lagOf(space, source, group)
    },
    topics: async () => topicsIn(space),
    remove: async (topic) => removeTopic(space, topic),
    query: (source, where, signal) => queryOf(space, source, where, signal),
    health: async () => [
      {
        name: 'memory log',
        ok: !over,
        detail: over ? 'closed' : `${space.topics.size} topics, ${sources.size} sources of this connection`,
      },
    ],
    cancel: async (id, topic, tx) => cancel(space, id, topic, tx === undefined ? undefined : openTransaction(tx)),
    reschedule: async (id, topic, notBefore, tx) =>
      reschedule(space, id, topic, notBefore, tx === undefined ? undefined : openTransaction(tx)),
    async close() {
      over = true
      await Promise.all([...sources].map((source) => source.close()))
      alive.end()
    },
  }
}

function refusal(space: Space, { maxBytes }: Traits, message: Dispatch): MessagingError | undefined {
  if (message.body.byteLength > maxBytes)
    return new MessagingError(
      'too-large',
      `the body of ${message.id} has ${message.body.byteLength} bytes, and ${maxBytes} is the most; send a reference to it instead`,
    )
  if (message.letter === undefined && !space.topics.has(message.topic)) return undeclared(message.topic)
  return undefined
}

/** Places messages that were checked, and wakes their readers once each. */
function placeAll(space: Space, messages: readonly Dispatch[]): (string | undefined)[] {
  let last: TopicLog | undefined
  const touched = new Set<TopicLog>()
  const positions: (string | undefined)[] = []
  const now = space.log.clock.now()
  for (const given of messages) {
    const message = own(given)
    if (message.letter !== undefined) {
      positions.push(shelve(space, message))
      continue
    }
    const topic: TopicLog | undefined = last?.name === message.topic ? last : space.topics.get(message.topic)
    // A reply address may have gone since the check; its answer goes nowhere.
    if (topic === undefined) {
      positions.push(undefined)
      continue
    }
    if (message.notBefore !== undefined && message.notBefore > now) {
      delay(space, topic, message, message.notBefore)
      positions.push(undefined)
      continue
    }
    positions.push(append(space, topic, message, now).seq.toString())
    if (topic !== last) touched.add(topic)
    last = topic
  }
  for (const topic of touched) rouseReaders(topic)
  return positions
}

function sendLater(
  space: Space,
  batch: readonly Dispatch[],
  refusals: readonly (MessagingError | undefined)[],
  tx: ReturnType<typeof openTransaction>,
): SendResult[] {
  const first = refusals.find((each) => each !== undefined)
  if (first !== undefined) return refusals.map((error) => ({ ok: false, error: error ?? withThem(first) }))
  // The caller may change its bytes before it commits.
  const messages = batch.map(own)
  tx.onCommit(() => void placeAll(space, messages))
  return batch.map(() => ({ ok: true, position: undefined }))
}

function withThem(cause: MessagingError): MessagingError {
  return new MessagingError('aborted', 'another message of the same atomic batch was refused, so this was not sent', {
    cause,
  })
}

/** A copy of what the sender could still change, and of nothing else that hangs on it. */
function own(message: Dispatch): Dispatch {
  return {
    id: message.id,
    topic: message.topic,
    key: message.key,
    tag: message.tag,
    headers: { ...message.headers },
    body: Buffer.from(message.body),
    contentType: message.contentType,
    sentAt: message.sentAt,
    expiresAt: message.expiresAt,
    priority: message.priority,
    version: message.version,
    generation: message.generation,
    failures: message.failures,
    history: message.history,
    lone: message.lone,
    replyTo: message.replyTo,
    correlationId: message.correlationId,
    group: message.group,
    partition: message.partition,
    notBefore: message.notBefore,
    letter: message.letter,
  }
}

/** While a source is open the process stays, as it would with a socket. */
function keepAlive(): { begin(): void; end(): void } {
  let timer: NodeJS.Timeout | undefined
  return {
    begin() {
      timer ??= setInterval(() => {}, 2_147_483_647)
    },
    end() {
      clearInterval(timer)
      timer = undefined
    },
  }
}
