// `pnpm test:cluster kafka [--messages=60000] [--legs=2] [--seed=1]`: a service of five processes on three nodes with min.insync.replicas 2,
// each killed once in turn while they send and handle; by kafkajs in one leg and by @platformatic/kafka in the next.
import { nodesOf } from '../../brokers/lifecycle.ts'
import { clientOf, kafkaClients, kafkaService } from '../kafka-service.ts'
import { runCampaign } from '../service-campaign.ts'
import { killed } from '../service-faults.ts'

const broker = 'kafka-cluster'

await runCampaign({
  name: 'kafka-cluster',
  command: 'pnpm test:cluster kafka',
  messages: 60_000,
  legs: 2,
  turns: kafkaClients.length,
  faults: nodesOf(broker).map((node) => killed(broker, node)),
  // As long as a node needs to come back.
  msPerFault: 30_000,
  service: (leg) => kafkaService(broker, [clientOf(leg)]),
  about: {
    broker: 'Kafka 4.3.1, three KRaft nodes, min.insync.replicas 2',
    clients: 'odd legs by kafkajs, even legs by @platformatic/kafka',
  },
})
