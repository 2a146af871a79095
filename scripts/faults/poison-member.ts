// One life of a consumer that dies on one message: the crash-poison run starts it again until all is quiet.
import { appendFileSync, existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { connect, fixed, idempotent, retry, topic } from '../../packages/posthorn/src/index.ts'

const [url = '', folder = '', order = 'none', poison = '', window = '500', namespace = '', how = 'kill'] =
  process.argv.slice(2)

/** What a member writes down before it does anything else, so that a kill cannot take it back. */
const note = (file: string, line: string): void => appendFileSync(join(folder, file), `${line}\n`)
const noted = (file: string): string => (existsSync(join(folder, file)) ? readFileSync(join(folder, file), 'utf8') : '')

const work = topic<{ n: number }>('work', { groups: [{ name: 'g', order: order === 'key' ? 'key' : 'none' }] })
const tries = 5

/** What the message does to its process. */
const deadly = {
  kill: () => void process.kill(process.pid, 'SIGKILL'),
  hang() {
    for (;;);
  },
  memory() {
    for (const all: number[][] = []; ; ) all.push(new Array(100_000).fill(Math.random()))
  },
}
// A sign of life for who watches over this process.
setInterval(() => process.send?.('alive'), 100).unref()

const broker = await connect(url, { log: false, namespace })
// Who hangs before the first sign would never be ended.
await new Promise((resolve) => process.send?.('alive', resolve))
const options = {
  group: 'g',
  order: order === 'key' ? 'key' : 'none',
  concurrency: 16,
  window: Number(window),
  use: [retry({ attempts: tries, backoff: fixed(50) })],
} as const
await broker.consume(
  work,
  broker.name === 'sqlite' ? { ...options, use: [idempotent(), ...options.use] } : options,
  async ({ id, body, tx }) => {
    note('starts', id)
    if (id === poison) deadly[how as keyof typeof deadly]()
    await sleep(2)
    // As many failures as the policy bears: one try lost, and it would lie among the dead.
    if (
      body.n % 50 === 0 &&
      noted('failures')
        .split('\n')
        .filter((each) => each === id).length <
        tries - 1
    ) {
      note('failures', id)
      throw new Error('not this time')
    }
    if (tx === undefined) note('effects', id)
    else await tx.query('INSERT INTO app_effects (id) VALUES ($1)', [id])
  },
)
for (;;) {
  const lag = await broker.lag(work, { group: 'g' }).catch(() => undefined)
  if (lag?.backlog === 0) break
  await sleep(50)
}
await broker.close()
