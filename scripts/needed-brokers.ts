/** The brokers that a package's or an example's tests talk to, as `pnpm brokers` names them. Their tests run one file after the other. */
export const neededBrokers: Readonly<Record<string, readonly string[]>> = {
  posthorn: ['rabbitmq', 'kafka'],
  rabbitmq: ['rabbitmq'],
  kafka: ['kafka'],
  'order-timeout': ['rabbitmq', 'kafka'],
  // The smaller examples.
  tests: ['rabbitmq', 'kafka'],
}

/** Variants that single tests start for themselves when they come to them; the run ends those that it found stopped. */
export const startedByTests: Readonly<Record<string, readonly string[]>> = {
  rabbitmq: ['rabbitmq-tls'],
  kafka: ['kafka-secure'],
}
