import { ContainerModule } from 'inversify';
import { tokens } from './tokens.js';
/** Binds an open broker, its plain producer and its store. Who connected closes it, or lets `startConsumers` do so. */
export function posthornModule(broker) {
    return new ContainerModule(({ bind }) => {
        bind(tokens.broker).toConstantValue(broker);
        bind(tokens.producer).toConstantValue(broker.producer());
        // Asked for when it is injected: a broker without a store refuses then, and says what to configure.
        bind(tokens.store).toDynamicValue(() => broker.store);
    });
}
