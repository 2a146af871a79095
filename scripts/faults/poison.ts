// `pnpm test:faults poison [url] [--how=kill,hang,memory]`: one message among a window of others ends every process that handles it: kills it, hangs it, or takes its memory.
import { fork } from 'node:child_process'
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { connect, topic } from '../../packages/posthorn/src/index.ts'
import { runsOf, seenOn, writeRuns } from '../evidence.ts'

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

/** What a message can do to its process. */
const ways = ['kill', 'hang', 'memory'] as const
type Way = (typeof ways)[number]

const member = fileURLToPath(new URL('./poison-member.ts', import.meta.url))
/** After so long without a sign of life a process is ended: soon where one hangs, else only so that nothing waits for ever. */
const silenceMs = { kill: 30_000, hang: 2_000, memory: 30_000 } as const satisfies Record<Way, number>
/** More than these, and nobody quarantines anything. */
const mostLives = 30

/** Runs `messages` on a broker at `url` (undefined: a SQLite file of its own) until a process ends by itself. */
export async function poisonRun(options: {
  readonly messages: number
  readonly order: 'key' | 'none'
  /** What it does to its process: ends it, hangs its event loop (its watchdog ends it), or takes all memory. */
  readonly how?: Way | undefined
  readonly url?: string | undefined
}): Promise<PoisonResult> {
  const { messages, order, how = 'kill' } = options
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
    while (deaths < mostLives && (await life([url, folder, order, poison, `${messages}`, namespace, how], how)) !== 0)
      deaths++
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

function life(args: readonly string[], how: Way): Promise<number | null> {
  const child = fork(member, [...args], {
    // What takes all memory is to be done with it soon, and what V8 says then is long.
    execArgv: ['--conditions=posthorn:source', '--disable-warning=ExperimentalWarning', '--max-old-space-size=96'],
    stdio: ['ignore', 'inherit', how === 'memory' ? 'ignore' : 'inherit', 'ipc'],
  })
  // As a service manager does: who gives no sign of life for so long is ended. From the first sign on, however long its start takes.
  let timer: NodeJS.Timeout | undefined
  child.on('message', () => {
    clearTimeout(timer)
    timer = setTimeout(() => child.kill('SIGKILL'), silenceMs[how])
  })
  return new Promise((resolve) =>
    child.once('exit', (code) => {
      clearTimeout(timer)
      resolve(code)
    }),
  )
}

function lines(file: string): string[] {
  return existsSync(file) ? readFileSync(file, 'utf8').split('\n').filter(Boolean) : []
}

/** By the first effect of each: without an inbox what was in hand at a crash comes again, from the first of it on. */
function disordered(effects: readonly string[]): number {
  const last = new Map<number, number>()
  const bad = new Set<number>()
  for (const id of new Set(effects)) {
    const n = Number(id.slice(1))
    if (n < (last.get(n % 25) ?? -1)) bad.add(n % 25)
    last.set(n % 25, n)
  }
  return bad.size
}

/** What of a result is wrong. Without a store that shares a transaction with the effect a neighbour may have two; it is never blamed. */
function wrongs({ deaths, letters, missing, disordered }: PoisonResult, poison: string): readonly string[] {
  const lettered = JSON.stringify(letters)
  return [
    ...(lettered === JSON.stringify({ [poison]: 'poison' }) ? [] : [`dead letters ${lettered}`]),
    ...(missing === 0 ? [] : [`${missing} without an effect`]),
    ...(disordered === 0 ? [] : [`${disordered} keys in disorder`]),
    ...(deaths < mostLives ? [] : ['it never came to rest']),
  ]
}

/** The runs that the command line asks for; figures in `evidence/poison-<broker>.json`, where those of other ways stay. */
async function main(): Promise<void> {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: { how: { type: 'string', default: ways.join(',') } },
  })
  const wanted = values.how.split(',')
  const unknown = wanted.filter((each) => !ways.some((way) => way === each))
  if (unknown.length > 0) throw new Error(`there is no way ${unknown.join(', ')}; there are ${ways.join(', ')}`)
  const [url] = positionals
  const name = `poison-${url === undefined ? 'sqlite' : new URL(url).protocol.slice(0, -1)}`
  const runs: unknown[] = runsOf<{ readonly how: string }>(name).filter(({ how }) => !wanted.includes(how))
  for (const how of ways.filter((way) => wanted.includes(way)))
    for (const order of ['none', 'key'] as const) {
      const messages = 500
      const result = await poisonRun({ messages, order, how, url })
      const wrong = wrongs(result, `m${messages / 2}`)
      console.log(how, order, JSON.stringify(result), wrong.join(', '))
      if (wrong.length > 0) process.exitCode = 1
      runs.push({ ...seenOn(), how, order, messages, ...result })
      writeRuns(name, 'pnpm test:faults poison [url]', runs)
    }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) await main()
