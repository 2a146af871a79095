/** All consumers of a container are bound under this. */
export const consumerBinding = Symbol.for('posthorn.consumer');
/**
 * Binds a consumer: the topic, how it is read, and what handles each message. The handler itself is bound by you, as a class or by
 * `toResolvedValue`, in transient scope.
 */
export function bindConsumer(container, source, options, handler) {
    container.bind(consumerBinding).toConstantValue({ source, options, handler });
}
const subscriptions = new WeakMap();
/** The same said on the class, a thin wrapper over `bindConsumer`: `@consumer(orders, { group: 'billing' })`, then `bindConsumers`. */
export function consumer(source, options) {
    return (handler) => void subscriptions.set(handler, { source, options });
}
/** Binds classes that `@consumer` marked, each in transient scope. */
export function bindConsumers(container, ...handlers) {
    for (const handler of handlers) {
        const found = subscriptions.get(handler);
        if (found === undefined)
            throw new TypeError(`${handler.name} is not marked: put @consumer(topic, { group }) on it, or use bindConsumer`);
        if (!container.isBound(handler))
            container.bind(handler).toSelf().inTransientScope();
        bindConsumer(container, found.source, found.options, handler);
    }
}
