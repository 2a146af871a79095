// `pnpm test:faults delays [--broker=rabbitmq-tls] [--messages=2000] [--restarts=3] [--queues=0] [--wake]`: how late delayed messages come on RabbitMQ's ladder, in
// peace, and where the broker is killed (SIGKILL) and started again while they fall due; never early. Figures in `evidence/rabbitmq-delays.json`.
import { setTimeout as sleep } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import { connectAdapter } from '../../packages/core/src/index.ts'
import { connect, topic } from '../../packages/posthorn/src/index.ts'
import { type RabbitClient, rabbitmq } from '../../packages/rabbitmq/src/index.ts'
import { control, ensure, killNode, portsOfNode } from '../brokers/lifecycle.ts'
import { runsOf, seenOn, writeRuns } from '../evidence.ts'
import { randomFrom } from './random.ts'
import { restarted } from './service-faults.ts'

const { values } = parseArgs({
  options: {
    // One of its own: it is killed.
    broker: { type: 'string', default: 'rabbitmq-tls' },
    messages: { type: 'string', default: '2000' },
    restarts: { type: 'string', default: '3' },
    // Others on the broker: the more there are, the longer a broker before 4.3 has queues and no bindings when it starts.
    queues: { type: 'string', default: '0' },
    // Whether an operator touches a policy after a restart, as the guide says.
    wake: { type: 'boolean', default: false },
  },
})
const name = values.broker
/** Longest delay; with the ladder's levels below it. */
const longestMs = 20_000

/** What a run was made with. */
interface Setting {
  readonly broker: string
  readonly queues: number
  readonly wake: boolean
}

interface Figures {
  readonly messages: number
  readonly missing: number
  readonly early: number
  readonly p50Ms: number
  readonly p99Ms: number
  readonly maxMs: number
}

/** Sends with delays of all lengths, 100 a second; `during` runs beside it. */
async function round(
  seed: number,
  messages: number,
  during: () => Promise<{ readonly from: number; readonly to: number } | undefined>,
): Promise<{ readonly all: Figures; readonly whileAway: Figures | undefined }> {
  const broker = await connect(`amqp://guest:guest@127.0.0.1:${portsOfNode(name)['amqp']}?heartbeatS=3`, {
    namespace: `delays-${process.pid}-${seed}`,
    log: false,
  })
  const later = topic<number>('later', { groups: [{ name: 'g', order: 'none' }] })
  const random = randomFrom(seed)
  const due = new Map<number, number>()
  const came = new Map<number, number>()
  await broker.consume(later, { group: 'g', concurrency: 64 }, async ({ body }) => {
    if (!came.has(body)) came.set(body, Date.now())
  })
  const producer = broker.producer()
  const fault = sleep(messages * 5).then(during)
  const sends: Promise<unknown>[] = []
  for (let n = 0; n < messages; n++) {
    const delayMs = 50 + Math.floor(random() ** 2 * longestMs)
    due.set(n, Date.now() + delayMs)
    sends.push(producer.send(later, n, { deliverAt: new Date(due.get(n) as number) }).catch(() => due.delete(n)))
    await sleep(10)
  }
  await Promise.all(sends)
  const away = await fault
  // Three minutes is what the broker itself may wait before it tries again.
  for (const end = Date.now() + 240_000; came.size < due.size && Date.now() < end; await sleep(1_000))
    if (values.wake && away !== undefined) await wake()
  await broker.close()
  const figures = (chosen: (at: number) => number | undefined): Figures => {
    const late = [...due].flatMap(([n, at]) => {
      const from = chosen(at)
      return from === undefined ? [] : [{ ms: (came.get(n) ?? Number.NaN) - from, early: (came.get(n) ?? at) < at }]
    })
    const sorted = late.map(({ ms }) => ms).filter((ms) => !Number.isNaN(ms))
    sorted.sort((a, b) => a - b)
    const part = (share: number): number => Math.round(sorted[Math.ceil(share * sorted.length) - 1] ?? 0)
    return {
      messages: late.length,
      missing: late.length - sorted.length,
      early: late.filter(({ early }) => early).length,
      p50Ms: part(0.5),
      p99Ms: part(0.99),
      maxMs: part(1),
    }
  }
  return {
    all: figures((at) => at),
    // As late as the broker makes it: from when it serves again.
    whileAway:
      away === undefined ? undefined : figures((at) => (at >= away.from && at <= away.to ? away.to : undefined)),
  }
}

/** Sets and clears a policy of the ladder's queues: each change makes the broker try again what found no way. */
async function wake(): Promise<void> {
  const policy = ['posthorn-wake', '~delay[.]', '{"delivery-limit":1000000000}', '--apply-to', 'queues']
  await control(name, ['set_policy', ...policy])
  await control(name, ['clear_policy', 'posthorn-wake'])
}

/** Quorum queues that nobody uses. */
async function fill(count: number): Promise<void> {
  const url = `amqp://guest:guest@127.0.0.1:${portsOfNode(name)['amqp']}`
  const broker = await connectAdapter(rabbitmq({ url }), { log: false })
  const channel = await (broker.driver.client as RabbitClient).sending?.createChannel()
  for (let n = 0; n < count; n++)
    await channel?.assertQueue(`delays-other-${n}`, { arguments: { 'x-queue-type': 'quorum' } })
  await broker.close()
}

await ensure(name)
await fill(Number(values.queues))
const messages = Number(values.messages)
const peace = (await round(1, messages, async () => undefined)).all
console.log('in peace', JSON.stringify(peace))
const restarts: Figures[] = []
for (let n = 0; n < Number(values.restarts); n++) {
  const { whileAway } = await round(n + 2, messages, async () => {
    const from = Date.now()
    await killNode(name)
    await restarted(name)
    return { from, to: Date.now() }
  })
  if (whileAway !== undefined) restarts.push(whileAway)
  console.log('due while the broker was away', JSON.stringify(whileAway))
}
const setting: Setting = { broker: name, queues: Number(values.queues), wake: values.wake }
const others = runsOf<Setting>('rabbitmq-delays').filter(
  (each) => each.broker !== name || each.queues !== setting.queues || each.wake !== setting.wake,
)
writeRuns('rabbitmq-delays', 'pnpm test:faults delays [--broker=NAME] [--queues=N] [--wake]', [
  ...others,
  { ...setting, ...seenOn(), peace, whileAway: restarts },
])
process.exitCode =
  [peace, ...restarts].every(({ early, missing }) => early + missing === 0) && peace.p99Ms < 2_000 ? 0 : 1
