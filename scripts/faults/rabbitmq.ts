// `pnpm test:faults rabbitmq [--messages=100000] [--legs=6] [--faults=30] [--seed=1] [--seconds=N] [--fresh]`: a service of five and more processes on
// one RabbitMQ, everything that ADAPTER.md names going wrong in each leg; a run that was cut off goes on where it was.
import { heldTooLong, memoryAlarm, queuesRemoved } from './rabbitmq-faults.ts'
import { rabbitService } from './rabbitmq-service.ts'
import { runCampaign } from './service-campaign.ts'
import { usualFaults } from './service-faults.ts'

// A broker of its own: it is killed.
const broker = 'rabbitmq-tls'
/** Lowered from half an hour. */
const consumerTimeoutMs = 12_000

await runCampaign({
  name: 'rabbitmq-faults',
  command: 'pnpm test:faults rabbitmq',
  messages: 100_000,
  legs: 6,
  times: 30,
  faults: [
    ...usualFaults(broker, { silentMs: 10_000, leaseMs: 12_000 }),
    queuesRemoved(broker),
    memoryAlarm(broker),
    heldTooLong(broker, consumerTimeoutMs),
  ],
  service: () =>
    rabbitService(broker, {
      settings: { consumer_timeout: String(consumerTimeoutMs) },
    }),
  about: { broker: 'RabbitMQ 4.0, one node', consumerTimeoutMs },
})
