import type { Broker } from './broker.ts'
import { kafkaBrokers } from './kafka.ts'
import { rabbitmqBrokers } from './rabbitmq.ts'

/** Every broker that can be started; a new one is one more file and one more line here. */
export const brokers: readonly Broker[] = [...rabbitmqBrokers, ...kafkaBrokers]

/** A broker by name, or an error that lists the names. */
export const brokerNamed = (name: string): Broker => {
  const found = brokers.find((broker) => broker.name === name)
  if (found) return found
  throw new Error(
    `no broker is called ${JSON.stringify(name)}: there are ${brokers.map((each) => each.name).join(', ')}`,
  )
}
