// `pnpm test:faults kafka [--messages=100000] [--legs=6] [--faults=30] [--seed=1] [--seconds=N] [--fresh]`: a service of five and more processes on
// one Kafka, by kafkajs in one leg and by @platformatic/kafka in the next, everything that ADAPTER.md names going wrong for each of them.
import { removeAndMakeAgain } from '../../packages/kafka/test/operator.ts'
import { url } from '../brokers/lifecycle.ts'
import { clientOf, kafkaClients, kafkaService } from './kafka-service.ts'
import { runCampaign } from './service-campaign.ts'
import { type Fault, usualFaults } from './service-faults.ts'

const broker = 'kafka'

const faults: readonly Fault[] = [
  ...usualFaults(broker, { silentMs: 12_000, leaseMs: 12_000 }),
  {
    // What lies in a topic that is removed is lost by who removed it: so it is removed when all is handled, and nobody sends meanwhile.
    name: 'topic removed by an operator and made again',
    async run({ namespace, crew }) {
      crew.tell({ say: 'pause' })
      await removeAndMakeAgain(new URL(url(broker)).host, namespace)
      crew.tell({ say: 'resume' })
    },
  },
]

await runCampaign({
  name: 'kafka-faults',
  command: 'pnpm test:faults kafka',
  messages: 100_000,
  legs: 6,
  times: 30,
  turns: kafkaClients.length,
  faults,
  service: (leg) => kafkaService(broker, [clientOf(leg)]),
  about: { broker: 'Kafka 4.3.1, one KRaft node', clients: 'odd legs by kafkajs, even legs by @platformatic/kafka' },
})
