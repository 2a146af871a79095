// `pnpm test:faults rabbitmq [--messages=100000] [--legs=6] [--faults=30] [--seed=1] [--seconds=N] [--fresh]`: a service of five and more processes on
// one RabbitMQ, everything that ADAPTER.md names going wrong in each leg; a run that was cut off goes on where it was.
import { setTimeout as sleep } from 'node:timers/promises'
import { managementOf } from '../../packages/rabbitmq/src/testing/management.ts'
import { control, logs } from '../brokers/lifecycle.ts'
import { rabbitService } from './rabbitmq-service.ts'
import { runCampaign } from './service-campaign.ts'
import { type Fault, usualFaults } from './service-faults.ts'

// A broker of its own: it is killed.
const broker = 'rabbitmq-tls'
/** Lowered from half an hour. */
const consumerTimeoutMs = 12_000

/** How many channels the broker has closed for it. */
const closings = (): number =>
  logs(broker, 100_000)
    .flatMap(({ text }) => text.split('\n'))
    .filter((line) => /delivery acknowledgement on channel \d+ timed out/.test(line)).length

/** Keys by which a queue gets messages; none where it is not there. */
async function bindingsOf(queue: string): Promise<readonly string[]> {
  const found = await managementOf(broker).call('GET', `/queues/%2F/${encodeURIComponent(queue)}/bindings`)
  return Array.isArray(found) ? found.map(({ source, routing_key: key }) => `${source} ${key}`).sort() : []
}

const faults: readonly Fault[] = [
  ...usualFaults(broker, { silentMs: 10_000, leaseMs: 12_000 }),
  {
    // What lies in a queue that is removed is lost by who removed it: so it is removed while it is empty, and nobody sends meanwhile.
    name: 'queues removed by an operator',
    async run({ namespace, crew }) {
      const management = managementOf(broker)
      crew.tell({ say: 'pause' })
      const named = async () =>
        (await management.queues(`${namespace}:`)).filter(({ name }) => /@(billing~\d+|audit)$/.test(name))
      for (let quiet = 0; quiet < 10; await sleep(100))
        quiet = (await named()).every(({ messages }) => messages === 0) ? quiet + 1 : 0
      const gone = (await named()).filter(({ name }) => /@(billing~[35]|audit)$/.test(name)).map(({ name }) => name)
      const bindings = async (): Promise<string> => JSON.stringify(await Promise.all(gone.map(bindingsOf)))
      const before = await bindings()
      for (const name of gone) await management.call('DELETE', `/queues/%2F/${encodeURIComponent(name)}`)
      // With one of its bindings still missing, what goes by it reaches the other group alone, and is confirmed.
      for (const end = performance.now() + 30_000; (await bindings()) !== before; await sleep(100))
        if (performance.now() > end) throw new Error(`${gone} were not all back, with their bindings, after 30 s`)
      crew.tell({ say: 'resume' })
    },
  },
  {
    name: 'memory alarm for 5 s',
    async run() {
      await control(broker, ['set_vm_memory_high_watermark', 'absolute', '1MB'])
      await sleep(5_000)
      await control(broker, ['set_vm_memory_high_watermark', 'absolute', '512MB'])
    },
  },
  {
    name: 'a handler holds longer than consumer_timeout',
    async run({ crew, random }) {
      const before = closings()
      const places = crew.of('billing')
      places[Math.floor(random() * places.length)]?.tell({ say: 'hold', ms: consumerTimeoutMs + 6_000 })
      await sleep(consumerTimeoutMs + 6_000)
      if (closings() === before) throw new Error('the broker has not closed the channel of who held on')
    },
  },
]

await runCampaign({
  name: 'rabbitmq-faults',
  command: 'pnpm test:faults rabbitmq',
  messages: 100_000,
  legs: 6,
  times: 30,
  faults,
  service: () =>
    rabbitService(broker, {
      settings: { consumer_timeout: String(consumerTimeoutMs) },
    }),
  about: { broker: 'RabbitMQ 4.0, one node', consumerTimeoutMs },
})
