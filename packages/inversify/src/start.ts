import { type Consumer, type Delivery, MessagingError } from '@posthorn/core'
import type { Container } from 'inversify'
import { type ConsumerBinding, consumerBinding } from './consumer.ts'
import { type ScopeBindings, type Scoped, scopes } from './scope.ts'
import { tokens } from './tokens.ts'

/** Consumers at work. */
export interface Running extends AsyncDisposable {
  readonly consumers: readonly Consumer[]
  /** Drains all consumers, then closes the broker. */
  stop(options?: { readonly drainMs?: number | undefined }): Promise<void>
}

/**
 * Starts every consumer that is bound, or none where one cannot. First each handler is made once with a stand-in for the delivery, so that a missing binding fails
 * here and not at the first message: constructors take what they need and do nothing.
 */
export async function startConsumers(
  container: Container,
  options: { readonly scope?: ScopeBindings | undefined } = {},
): Promise<Running> {
  const broker = container.get(tokens.broker)
  const bindings = container.isBound(consumerBinding) ? container.getAll(consumerBinding) : []
  const scoped = scopes(container, options.scope)
  for (const binding of bindings) await probe(binding, scoped)
  // At once: on a log each waits for its group, and a service may have many.
  const started = await Promise.allSettled(
    bindings.map(({ source, options: asked, handler }) =>
      broker.consume(source, asked as never, (delivery: Delivery) =>
        scoped(delivery, async (scope) => (await scope.getAsync(handler)).handle(delivery as Delivery<never>)),
      ),
    ),
  )
  const consumers = started.flatMap((each) => (each.status === 'fulfilled' ? [each.value] : []))
  const failed = started.find((each) => each.status === 'rejected')
  if (failed !== undefined) {
    await Promise.all(consumers.map((each) => each.stop()))
    throw failed.reason
  }
  const stop: Running['stop'] = async (how) => {
    await Promise.all(consumers.map((each) => each.stop(how)))
    await broker.close(how)
  }
  return { consumers, stop, [Symbol.asyncDispose]: () => stop() }
}

async function probe({ source, handler }: ConsumerBinding, scoped: Scoped): Promise<void> {
  const name = 'name' in source ? source.name : source.pattern
  try {
    const made = await scoped(standIn(name), (scope) => scope.getAsync(handler))
    if (typeof made?.handle !== 'function')
      throw new TypeError(`what is bound to ${String(handler)} has no method handle(delivery)`)
  } catch (cause) {
    throw new MessagingError('invalid', `the handler of ${name} cannot be made: ${(cause as Error).message}`, { cause })
  }
}

/** A delivery of nothing, for the one trial at start. */
function standIn(topic: string): Delivery {
  return {
    body: undefined,
    id: 'trial-at-start',
    key: undefined,
    tag: undefined,
    headers: {},
    topic,
    group: '',
    attempt: 1,
    deliveryCount: undefined,
    fence: undefined,
    position: undefined,
    sentAt: undefined,
    signal: AbortSignal.abort(),
    tx: undefined,
    producer: undefined as never,
    replay: false,
  }
}
