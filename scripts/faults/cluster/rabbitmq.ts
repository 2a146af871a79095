// `pnpm test:cluster rabbitmq [--messages=30000] [--legs=1] [--seed=1]`: a service of five processes on three nodes, each killed once in turn.
import { nodesOf } from '../../brokers/lifecycle.ts'
import { rabbitService } from '../rabbitmq-service.ts'
import { runCampaign } from '../service-campaign.ts'
import { killed } from '../service-faults.ts'

const broker = 'rabbitmq-cluster'

await runCampaign({
  name: 'rabbitmq-cluster',
  command: 'pnpm test:cluster rabbitmq',
  messages: 30_000,
  legs: 1,
  faults: nodesOf(broker).map((node) => killed(broker, node)),
  service: () => rabbitService(broker),
  about: { broker: 'RabbitMQ 4.0, three nodes' },
})
