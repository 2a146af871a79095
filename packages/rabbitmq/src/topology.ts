import type { Clock, DriverContext } from '@posthorn/core/driver'
import { isMessagingError, MessagingError, within } from '@posthorn/core/driver'
import type { Channel, ChannelModel, ConfirmChannel } from 'amqplib'
import type { Link } from './connection.ts'
import { aborted, conflict, translated } from './errors.ts'
import type { Binding, Step } from './plan.ts'

/** Longest that the broker may leave us without an answer at set-up: amqplib itself waits for ever. */
const answerMs = 15_000
/** Steps that were answered, by channel: a topic with hundreds of groups may take longer, as long as it gets on. */
const stepsDone = new WeakMap<Channel, number>()

/** Runs work on a channel of its own: an error closes a channel, and it must be nobody else's. */
export function onChannel<T>(
  link: Link,
  clock: Clock,
  about: string,
  signal: AbortSignal,
  work: (channel: Channel) => Promise<T>,
): Promise<T> {
  return onOwn(link, clock, about, signal, (model) => model.createChannel(), work)
}

/** The same on a channel that confirms what is published. */
export function onConfirmChannel<T>(
  link: Link,
  clock: Clock,
  about: string,
  signal: AbortSignal,
  work: (channel: ConfirmChannel) => Promise<T>,
): Promise<T> {
  return onOwn(link, clock, about, signal, (model) => model.createConfirmChannel(), work)
}

async function onOwn<C extends Channel, T>(
  link: Link,
  clock: Clock,
  about: string,
  signal: AbortSignal,
  make: (model: ChannelModel) => Promise<C>,
  work: (channel: C) => Promise<T>,
): Promise<T> {
  if (signal.aborted) throw aborted(about, signal)
  let channel: C | undefined
  let why: unknown
  let over = false
  const run = async (): Promise<T> => {
    const model = await link.model()
    const made = await make(model).catch((error: unknown) => {
      throw translated(error, about)
    })
    made.on('error', (error) => {
      why = error
    })
    channel = made
    if (over) closeQuietly(made)
    try {
      return await work(made)
    } catch (error) {
      // What is asked of a channel that has ended says only that: it ended for a reason.
      throw error instanceof MessagingError ? error : translated(why ?? error, about)
    }
  }
  let stop = (): void => {}
  const stopped = new Promise<never>((_, reject) => {
    stop = () => reject(aborted(about, signal))
    signal.addEventListener('abort', stop, { once: true })
  })
  try {
    const steps = (): number => (channel === undefined ? 0 : (stepsDone.get(channel) ?? 0))
    return await Promise.race([answered(run(), about, clock, { steps, blocked: () => link.blocked }), stopped])
  } finally {
    over = true
    signal.removeEventListener('abort', stop)
    closeQuietly(channel)
  }
}

/** What is known of an answer that is waited for. */
interface Waiting {
  /** How far it is, where there are many steps. */
  readonly steps: () => number
  /** Why the broker takes nothing now; undefined where it does. */
  readonly blocked: () => string | undefined
}

const waiting: Waiting = { steps: () => 0, blocked: () => undefined }

/** What the broker answers; `unavailable` where it does not in time, or `throttled` where it has said why. */
export async function answered<T>(
  asking: Promise<T>,
  about: string,
  clock: Clock,
  { steps, blocked }: Waiting = waiting,
): Promise<T> {
  const answering = asking.then((value) => ({ value }))
  for (let before = -1; before < steps(); ) {
    before = steps()
    const answer = await within(answering, answerMs, clock)
    if (answer !== undefined) return answer.value
  }
  const reason = blocked()
  if (reason === undefined) throw new MessagingError('unavailable', `${about}: no answer within ${answerMs} ms`)
  throw new MessagingError('throttled', `${about}: RabbitMQ takes nothing: ${reason}; free memory or disk there`)
}

/** Closes a channel without waiting and without complaint: it may be closed already, or have nobody at the other end. */
export function closeQuietly(channel: Channel | undefined): void {
  channel?.close().catch(() => {})
}

/**
 * Resolves when the queue has what was acknowledged on this channel. A channel that has many acknowledgements on the way to a quorum
 * queue keeps the rest back, and forgets them when it closes (4.0: most of 300). Another consumer goes the same way behind them.
 */
export async function flushed(channel: Channel, queue: string): Promise<void> {
  const { consumerTag } = await channel.consume(queue, () => {})
  await channel.cancel(consumerTag)
}

/** Whether a queue or an exchange is there. */
export async function exists(
  { link, context }: { readonly link: Link; readonly context: Pick<DriverContext, 'clock'> },
  what: Extract<Step, { readonly do: 'queue' | 'exchange' }>,
  signal: AbortSignal,
): Promise<boolean> {
  try {
    await onChannel(link, context.clock, `looking for ${what.do} ${what.name}`, signal, (channel) =>
      establish(channel, [what], 'check', what.name),
    )
    return true
  } catch (error) {
    if (isMessagingError(error, 'not-found')) return false
    throw error
  }
}

/** Makes what is not there, or looks whether it is, or trusts that it is. */
export async function establish(
  channel: Channel,
  steps: readonly Step[],
  mode: DriverContext['topology'],
  about: string,
): Promise<void> {
  if (mode === 'none') return
  for (const step of steps) {
    try {
      if (mode === 'declare') await make(channel, step)
      else await look(channel, step)
      stepsDone.set(channel, (stepsDone.get(channel) ?? 0) + 1)
    } catch (error) {
      throw mode === 'declare' ? conflict(error, `${about}, ${nameOf(step)}`) : missing(error, about, step)
    }
  }
}

function make(channel: Channel, step: Step): Promise<unknown> {
  switch (step.do) {
    case 'exchange':
      return channel.assertExchange(step.name, step.type, { internal: step.open !== true, arguments: step.args ?? {} })
    case 'queue':
      return channel.assertQueue(step.name, { arguments: step.args })
    case 'bind':
      return channel.bindQueue(step.queue, step.to, step.key, step.args)
    case 'link':
      return channel.bindExchange(step.exchange, step.to, step.key)
  }
}

/** Takes bindings back; what is not bound is no error. */
export async function unbind(channel: Channel, bindings: readonly Binding[]): Promise<void> {
  for (const each of bindings) {
    if (each.do === 'bind') await channel.unbindQueue(each.queue, each.to, each.key, each.args)
    else await channel.unbindExchange(each.exchange, each.to, each.key)
  }
}

/** Bindings cannot be looked at by AMQP. */
async function look(channel: Channel, step: Step): Promise<unknown> {
  if (step.do === 'exchange') return channel.checkExchange(step.name)
  if (step.do === 'queue') return channel.checkQueue(step.name)
  return undefined
}

function nameOf(step: Step): string {
  if (step.do === 'bind') return `binding queue ${step.queue} to ${step.to}`
  if (step.do === 'link') return `binding exchange ${step.exchange} to ${step.to}`
  return `${step.do} ${step.name}`
}

function missing(error: unknown, about: string, step: Step): MessagingError {
  const ours = translated(error, `${about}, ${nameOf(step)}`)
  if (ours.code !== 'not-found') return ours
  return new MessagingError(
    'not-found',
    `${about}: there is no ${nameOf(step)}; have it made (docs/brokers/rabbitmq.md lists all), or connect with topology: 'declare'`,
    { cause: error },
  )
}
