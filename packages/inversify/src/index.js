// Posthorn in an inversify container. The same without one: connect, then broker.consume(topic, options, (d) => service.handle(d)).
export { bindConsumer, bindConsumers, consumer } from './consumer.js';
export { posthornModule } from './module.js';
export { startConsumers } from './start.js';
export { tokens } from './tokens.js';
