import type { BodyOf, ConsumeOptions, Delivery, Source, Verdict } from '@posthorn/core'
import type { Container, Newable, ServiceIdentifier } from 'inversify'

/** What a consumer class offers: one method, called once per message on an instance made for it. */
export interface Handler<T = unknown> {
  handle(delivery: Delivery<T>): Promise<Verdict | void>
}

/** A consumer as the container knows it. */
export interface ConsumerBinding {
  readonly source: Source
  readonly options: ConsumeOptions
  readonly handler: ServiceIdentifier<Handler<never>>
}

/** All consumers of a container are bound under this. */
export const consumerBinding: ServiceIdentifier<ConsumerBinding> = Symbol.for('posthorn.consumer')

/**
 * Binds a consumer: the topic, how it is read, and what handles each message. The handler itself is bound by you, as a class or by
 * `toResolvedValue`, in transient scope.
 */
export function bindConsumer<S extends Source>(
  container: Container,
  source: S,
  options: ConsumeOptions,
  handler: ServiceIdentifier<Handler<BodyOf<S>>>,
): void {
  container.bind(consumerBinding).toConstantValue({ source, options, handler })
}

const subscriptions = new WeakMap<object, { readonly source: Source; readonly options: ConsumeOptions }>()

/** The same said on the class, a thin wrapper over `bindConsumer`: `@consumer(orders, { group: 'billing' })`, then `bindConsumers`. */
export function consumer<S extends Source>(
  source: S,
  options: ConsumeOptions,
): <C extends Newable<Handler<BodyOf<S>>>>(handler: C, context?: ClassDecoratorContext) => void {
  return (handler) => void subscriptions.set(handler, { source, options })
}

/** Binds classes that `@consumer` marked, each in transient scope. */
export function bindConsumers(container: Container, ...handlers: readonly Newable<Handler<never>>[]): void {
  for (const handler of handlers) {
    const found = subscriptions.get(handler)
    if (found === undefined)
      throw new TypeError(`${handler.name} is not marked: put @consumer(topic, { group }) on it, or use bindConsumer`)
    if (!container.isBound(handler)) container.bind(handler).toSelf().inTransientScope()
    bindConsumer(container, found.source, found.options, handler)
  }
}
