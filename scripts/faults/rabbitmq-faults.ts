// What goes wrong with RabbitMQ itself, beside what every broker suffers.
import { setTimeout as sleep } from 'node:timers/promises'
import { managementOf } from '../../packages/rabbitmq/src/testing/management.ts'
import { control, logs } from '../brokers/lifecycle.ts'
import type { Fault } from './service-faults.ts'

/** Longest that a fault waits for what it is about. */
const patienceMs = 30_000

/** The queues of a run's groups and the levels of its ladder, in the way that messages go: no message passes who counts in this order. */
async function queuesOf(broker: string, namespace: string): Promise<readonly string[]> {
  const names = (await managementOf(broker).queues(`${namespace}:`)).map(({ name }) => name)
  const level = (name: string): number => Number(/~delay\.(\d+)$/.exec(name)?.[1] ?? -1)
  return names
    .filter((name) => level(name) >= 0 || /@(billing~\d+|audit)$/.test(name))
    .sort((a, b) => level(b) - level(a))
}

/**
 * What each of these queues holds, with what is out for delivery and what waits to be dead-lettered, asked of its leader: the management API
 * tells what was some seconds ago, and AMQP does not count what is out.
 */
async function heldIn(broker: string, queues: readonly string[]): Promise<readonly number[]> {
  const names = queues.map((name) => `<<"${name}">>`).join(', ')
  const told = await control(broker, [
    'eval',
    `[begin {ok, Q} = rabbit_amqqueue:lookup(rabbit_misc:r(<<"/">>, queue, Name)),
      {ok, Held, _} = ra:consistent_query(amqqueue:get_pid(Q), fun rabbit_fifo:query_messages_total/1), Held end || Name <- [${names}]].`,
  ])
  return JSON.parse(told) as readonly number[]
}

/** Keys by which a queue gets messages; none where it is not there. */
async function bindingsOf(broker: string, queue: string): Promise<readonly string[]> {
  const found = await managementOf(broker).call('GET', `/queues/%2F/${encodeURIComponent(queue)}/bindings`)
  return Array.isArray(found) ? found.map(({ source, routing_key: key }) => `${source} ${key}`).sort() : []
}

/** What lies in a queue that is removed is lost by who removed it: so it is removed while all are empty, and nobody sends meanwhile. */
export const queuesRemoved = (broker: string): Fault => ({
  name: 'queues removed by an operator',
  async run({ namespace, crew }) {
    await crew.rest()
    try {
      const queues = await queuesOf(broker, namespace)
      let held = await heldIn(broker, queues)
      for (const end = performance.now() + patienceMs; held.some((n) => n > 0); await sleep(100)) {
        if (performance.now() > end)
          throw new Error(`not handled after ${patienceMs / 1_000} s: ${queues.map((name, i) => `${name} ${held[i]}`)}`)
        held = await heldIn(broker, queues)
      }
      const gone = queues.filter((name) => /@(billing~[35]|audit)$/.test(name))
      const bindings = async (): Promise<string> =>
        JSON.stringify(await Promise.all(gone.map((name) => bindingsOf(broker, name))))
      const before = await bindings()
      for (const name of gone) await managementOf(broker).call('DELETE', `/queues/%2F/${encodeURIComponent(name)}`)
      // With one of its bindings still missing, what goes by it reaches the other group alone, and is confirmed.
      for (const end = performance.now() + patienceMs; (await bindings()) !== before; await sleep(100))
        if (performance.now() > end)
          throw new Error(`${gone} were not all back, with their bindings, after ${patienceMs / 1_000} s`)
    } finally {
      crew.tell({ say: 'resume' })
    }
  },
})

/** Memory is short: the broker takes no messages. */
export const memoryAlarm = (broker: string, ms = 5_000): Fault => ({
  name: `memory alarm for ${ms / 1_000} s`,
  async run() {
    await control(broker, ['set_vm_memory_high_watermark', 'absolute', '1MB'])
    await sleep(ms)
    await control(broker, ['set_vm_memory_high_watermark', 'absolute', '512MB'])
  },
})

/** A handler takes longer than the broker lets a delivery be held: it closes the channel. */
export const heldTooLong = (broker: string, consumerTimeoutMs: number): Fault => {
  /** How many channels the broker has closed for it. */
  const closings = (): number =>
    logs(broker, 100_000)
      .flatMap(({ text }) => text.split('\n'))
      .filter((line) => /delivery acknowledgement on channel \d+ timed out/.test(line)).length
  return {
    name: 'a handler holds longer than consumer_timeout',
    async run({ crew, random }) {
      const before = closings()
      const places = crew.of('billing')
      places[Math.floor(random() * places.length)]?.tell({ say: 'hold', ms: consumerTimeoutMs + 6_000 })
      await sleep(consumerTimeoutMs + 6_000)
      if (closings() === before) throw new Error('the broker has not closed the channel of who held on')
    },
  }
}
