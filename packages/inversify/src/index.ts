// Posthorn in an inversify container. The same without one: connect, then broker.consume(topic, options, (d) => service.handle(d)).
export { bindConsumer, bindConsumers, consumer, type Handler } from './consumer.ts'
export { posthornModule } from './module.ts'
export type { ScopeBindings } from './scope.ts'
export { type Running, startConsumers } from './start.ts'
export { tokens } from './tokens.ts'
