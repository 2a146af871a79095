import { MessagingError } from '@posthorn/core';
import { consumerBinding } from './consumer.js';
import { scopes } from './scope.js';
import { tokens } from './tokens.js';
/**
 * Starts every consumer that is bound. First each handler is made once with a stand-in for the delivery, so that a missing binding fails
 * here and not at the first message: constructors take what they need and do nothing.
 */
export async function startConsumers(container, options = {}) {
    const broker = container.get(tokens.broker);
    const bindings = container.isBound(consumerBinding) ? container.getAll(consumerBinding) : [];
    const scoped = scopes(container, options.scope);
    for (const binding of bindings)
        await probe(binding, scoped);
    const consumers = [];
    try {
        for (const { source, options: asked, handler } of bindings)
            consumers.push(await broker.consume(source, asked, (delivery) => scoped(delivery, async (scope) => (await scope.getAsync(handler)).handle(delivery))));
    }
    catch (error) {
        await Promise.all(consumers.map((each) => each.stop()));
        throw error;
    }
    const stop = async (how) => {
        await Promise.all(consumers.map((each) => each.stop(how)));
        await broker.close(how);
    };
    return { consumers, stop, [Symbol.asyncDispose]: () => stop() };
}
async function probe({ source, handler }, scoped) {
    const name = 'name' in source ? source.name : source.pattern;
    try {
        const made = await scoped(standIn(name), (scope) => scope.getAsync(handler));
        if (typeof made?.handle !== 'function')
            throw new TypeError(`what is bound to ${String(handler)} has no method handle(delivery)`);
    }
    catch (cause) {
        throw new MessagingError('invalid', `the handler of ${name} cannot be made: ${cause.message}`, { cause });
    }
}
/** A delivery of nothing, for the one trial at start. */
function standIn(topic) {
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
        producer: undefined,
        replay: false,
    };
}
