// `node --conditions=posthorn:source scripts/faults/poison.ts [url]`: one message among a window of others kills every process that handles it.
import { fork } from 'node:child_process'
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { fileURLToPath } from 'node:url'
import { connect, topic } from '../../packages/posthorn/src/index.ts'

/** What became of the window. */
export interface PoisonResult {
  /** Processes that died on it. */
  readonly deaths: number
  /** Reasons of the dead letters, by id. */
  readonly letters: Readonly<Record<string, string>>
  /** Of all but the poison: without an effect, with more than one. */
  readonly missing: number
  readonly twice: number
  /** Keys whose effects came in another order than their messages; 0 where no order was asked. */
  readonly disordered: number
  readonly poisonStarts: number
  readonly seconds: number
}

const member = fileURLToPath(new URL('./poison-member.ts', import.meta.url))
/** More than these, and nobody quarantines anything. */
const mostLives = 30

/** Runs `messages` on a broker at `url` (undefined: a SQLite file of its own) until a process ends by itself. */
export async function poisonRun(options: {
  readonly messages: number
  readonly order: 'key' | 'none'
  readonly url?: string | undefined
}): Promise<PoisonResult> {
  const { messages, order } = options
  const from = performance.now()
  const folder = mkdtempSync(join(tmpdir(), 'posthorn-poison-'))
  const file = join(folder, 'app.db')
  const url = options.url ?? `sqlite:${file}?leaseMs=400`
  const own = options.url === undefined ? new DatabaseSync(file, { timeout: 20_000 }) : undefined
  own?.exec('PRAGMA journal_mode = WAL; CREATE TABLE app_effects (no INTEGER PRIMARY KEY, id TEXT)')
  const work = topic<{ n: number }>('work', { groups: [{ name: 'g', order }] })
  const poison = `m${Math.floor(messages / 2)}`
  const namespace = `poison-${process.pid}-${Math.round(from)}`
  const broker = await connect(url, { log: false, namespace })
  try {
    const bodies = Array.from({ length: messages }, (_, n) => ({ body: { n }, id: `m${n}`, key: `k${n % 25}` }))
    for (const sent of await broker.producer().sendBatch(work, bodies)) if (!sent.ok) throw sent.error
    let deaths = 0
    while (deaths < mostLives && (await life([url, folder, order, poison, `${messages}`, namespace])) !== 0) deaths++
    const letters: Record<string, string> = {}
    for await (const { id, reason } of broker.deadLetters(work, { group: 'g' }).list()) letters[id] = reason
    const effects =
      own === undefined
        ? lines(join(folder, 'effects'))
        : own
            .prepare('SELECT id FROM app_effects ORDER BY no')
            .all()
            .map(({ id }) => String(id))
    const times = new Map<string, number>()
    for (const id of effects) times.set(id, (times.get(id) ?? 0) + 1)
    const neighbours = bodies.map(({ id }) => id).filter((id) => id !== poison)
    return {
      deaths,
      letters,
      missing: neighbours.filter((id) => !times.has(id)).length,
      twice: neighbours.filter((id) => (times.get(id) ?? 0) > 1).length,
      disordered: order === 'key' ? disordered(effects) : 0,
      poisonStarts: lines(join(folder, 'starts')).filter((id) => id === poison).length,
      seconds: (performance.now() - from) / 1_000,
    }
  } finally {
    await broker.close()
    own?.close()
    rmSync(folder, { recursive: true })
  }
}

function life(args: readonly string[]): Promise<number | null> {
  const child = fork(member, [...args], {
    execArgv: ['--conditions=posthorn:source', '--disable-warning=ExperimentalWarning'],
    stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
  })
  return new Promise((resolve) => child.once('exit', resolve))
}

function lines(file: string): string[] {
  return existsSync(file) ? readFileSync(file, 'utf8').split('\n').filter(Boolean) : []
}

function disordered(effects: readonly string[]): number {
  const last = new Map<number, number>()
  const bad = new Set<number>()
  for (const id of effects) {
    const n = Number(id.slice(1))
    if (n < (last.get(n % 25) ?? -1)) bad.add(n % 25)
    last.set(n % 25, n)
  }
  return bad.size
}

if (process.argv[1] === fileURLToPath(import.meta.url))
  for (const order of ['none', 'key'] as const)
    console.log(order, JSON.stringify(await poisonRun({ messages: 500, order, url: process.argv[2] })))
