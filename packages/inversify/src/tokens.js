/** What to inject, by name. The last two are there while a message is handled, and differ for each. */
export const tokens = {
    broker: Symbol.for('posthorn.broker'),
    producer: Symbol.for('posthorn.producer'),
    store: Symbol.for('posthorn.store'),
    delivery: Symbol.for('posthorn.delivery'),
    transaction: Symbol.for('posthorn.transaction'),
};
