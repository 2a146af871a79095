// `pnpm test:faults reliability [--on=sqlite] [--ids=10000] [--kills=8] [--processes=4] [--seed=1] [--seconds=N] [--fresh]`: the inbox, the outbox's
// schedule and half messages on one transport, by processes that are killed (SIGKILL) at random while they send, cancel, prepare and handle. With
// --seconds all are killed then. A run that was put down or broken off goes on where it was by the same command; --fresh begins anew.
// Figures: evidence/reliability-<transport>.json.
import { type ChildProcess, execFileSync, fork } from 'node:child_process'
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { type Broker, connect, topic } from '../../packages/posthorn/src/index.ts'
import { ensure } from '../brokers/lifecycle.ts'
import { randomFrom } from './random.ts'
import { isClean, judged, type PatternFaults } from './reliability-judge.ts'

/** How big a run is, and on what. */
export interface PatternRun {
  readonly on: 'sqlite' | 'rabbitmq' | 'kafka'
  /** Each is sent three times, and has a schedule; three of ten have a half message. */
  readonly ids: number
  /** Of each process. */
  readonly kills: number
  readonly processes: number
  readonly seed: number
}

/** What a run showed. */
export interface PatternResult {
  readonly faults: PatternFaults
  readonly counts: Readonly<Record<string, number>>
  /** Times at which all processes were killed together, and the run went on later. */
  readonly putDown: number
  /** Until everything was sent, and until everything was handled; of all parts of a run that was put down. */
  readonly seconds: { readonly sending: number; readonly draining: number }
}

/** What must be known to go on with a run that was broken off. */
interface Notebook extends PatternRun {
  readonly namespace: string
  readonly commit: string
  readonly killed: Record<string, number>
  /** Of a name, whatever ended them. */
  readonly lives: Record<string, number>
  putDown: number
  sending: number
}

const member = fileURLToPath(new URL('./reliability-member.ts', import.meta.url))
const topics = ['orders', 'later', 'paid'] as const
/** Longest that nothing may move before a run is given up. */
const patienceMs = 120_000

/** Runs it in `folder`, which goes when all is well; without one in a folder of its own. Undefined: it was put down after so many ms. */
export async function patternRun(
  run: PatternRun,
  folder = mkdtempSync(join(tmpdir(), 'posthorn-patterns-')),
  forMs?: number,
): Promise<PatternResult | undefined> {
  const file = join(folder, 'app.db')
  const book = notebook(folder, run)
  const url = run.on === 'sqlite' ? `sqlite:${file}?leaseMs=2000&synchronous=normal` : await ensure(run.on)
  const own = new DatabaseSync(file, { timeout: 20_000 })
  own.exec(`PRAGMA journal_mode = WAL; CREATE TABLE IF NOT EXISTS app_effects (no INTEGER PRIMARY KEY, id TEXT, t INTEGER);
    CREATE INDEX IF NOT EXISTS app_effects_id ON app_effects (id);
    CREATE TABLE IF NOT EXISTS app_paid (id TEXT PRIMARY KEY, state TEXT)`)
  const children = new Set<ChildProcess>()
  try {
    const began = performance.now()
    const names = Array.from({ length: run.processes }, (_, n) => `p${n}`)
    const random = randomFrom(run.seed)
    const args = [url, file, folder, book.namespace, `${Math.ceil(run.ids / run.processes)}`]
    const sending = Promise.all(
      names.map((name) => lives(name, args, book, random, children, () => save(folder, book))),
    )
    const done =
      forMs === undefined ? await sending : await Promise.race([sending, sleep(forMs, undefined, { ref: false })])
    const sent = performance.now()
    book.sending += sent - began
    if (done === undefined) {
      sending.catch(() => {})
      book.putDown++
    }
    save(folder, book)
    if (done === undefined) return undefined
    // Nothing is being sent any more: the immunity time of what vanished may be over at once.
    own.exec("UPDATE posthorn_held SET due = 0 WHERE state = 'prepared'")
    const broker = await connect(url, { log: false, ...(run.on === 'sqlite' ? {} : { namespace: book.namespace }) })
    const undrained = await drained(broker, own)
    const letters = await lettersOf(broker)
    await broker.close()
    const drainedAt = performance.now()
    const codes = await Promise.all([...children].map(ended))
    if (codes.some((code) => code !== 0)) throw new Error(`processes ended with ${codes.join(', ')}`)
    const killed = Object.values(book.killed).reduce((sum, each) => sum + each, 0)
    const result: PatternResult = {
      ...judged(folder, own, { killed, undrained, letters }),
      putDown: book.putDown,
      seconds: { sending: seconds(book.sending), draining: seconds(drainedAt - sent) },
    }
    if (isClean(result.faults)) rmSync(folder, { recursive: true })
    else console.error(`the file and its notes are kept in ${folder}`)
    return result
  } finally {
    for (const child of children) child.kill('SIGKILL')
    own.close()
  }
}

const seconds = (ms: number): number => Math.round(ms / 100) / 10

function notebook(folder: string, run: PatternRun): Notebook {
  const path = join(folder, 'run.json')
  if (existsSync(path)) {
    const found = JSON.parse(readFileSync(path, 'utf8')) as Notebook
    const differs = (Object.keys(run) as (keyof PatternRun)[]).find((name) => found[name] !== run[name])
    if (differs !== undefined)
      throw new Error(`a run with ${differs} ${found[differs]} was broken off in ${folder}; say the same, or --fresh`)
    if (found.commit !== commit())
      throw new Error(`the run in ${folder} began on ${found.commit}: parts of two prove nothing together; say --fresh`)
    return found
  }
  return {
    ...run,
    namespace: `patterns${Date.now()}`,
    commit: commit(),
    killed: {},
    lives: {},
    putDown: 0,
    sending: 0,
  }
}

const commit = (): string => execFileSync('git', ['rev-parse', '--short', 'HEAD'], { encoding: 'utf8' }).trim()

function save(folder: string, book: Notebook): void {
  writeFileSync(join(folder, 'run.json'), JSON.stringify(book))
}

/** One process after the other under one name; each but the last is killed, once it has sent its share of the whole. Resolves when the last has sent. */
async function lives(
  name: string,
  args: readonly string[],
  book: Notebook,
  random: () => number,
  children: Set<ChildProcess>,
  note: () => void,
): Promise<void> {
  const quota = Math.ceil(book.ids / book.processes)
  for (let life = book.killed[name] ?? 0; ; life++) {
    const birth = book.lives[name] ?? 0
    book.lives[name] = birth + 1
    note()
    const child = fork(member, [...args, name, `${birth}`], {
      execArgv: ['--conditions=posthorn:source', '--disable-warning=ExperimentalWarning'],
      stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
    })
    children.add(child)
    const due = life < book.kills ? Math.floor((quota * (life + random())) / book.kills) : quota
    const reached = new Promise<void>((resolve) => child.on('message', (done) => Number(done) >= due && resolve()))
    const gone = new Promise<never>((_, reject) =>
      child.once('exit', (code) => reject(new Error(`${name} ended by itself with ${code}`))),
    )
    await Promise.race([reached, gone])
    gone.catch(() => {})
    if (life >= book.kills) return
    // Anywhere between two reports.
    await sleep(random() * 300)
    child.kill('SIGKILL')
    await gone.catch(() => {})
    children.delete(child)
    book.killed[name] = life + 1
    note()
  }
}

function ended(child: ChildProcess): Promise<number | null> {
  child.kill('SIGTERM')
  return child.exitCode === null
    ? new Promise((resolve) => child.once('exit', resolve))
    : Promise.resolve(child.exitCode)
}

/** Waits until nothing waits, as long as something moves; how much does at last. */
async function drained(broker: Broker, own: DatabaseSync): Promise<number> {
  const held = own.prepare(`SELECT (SELECT count(*) FROM posthorn_held WHERE state IN ('ready', 'prepared'))
    + (SELECT count(*) FROM posthorn_delayed) AS n`)
  for (let before = -1, until = performance.now() + patienceMs; ; await sleep(200)) {
    const lags = await Promise.all(topics.map((name) => broker.lag(topic(name, { groups: ['g'] }), { group: 'g' })))
    const left = lags.reduce((sum, { backlog }) => sum + backlog, Number(held.get()?.['n']))
    if (left === 0 || performance.now() > until) return left
    if (left !== before) until = performance.now() + patienceMs
    before = left
  }
}

async function lettersOf(broker: Broker): Promise<number> {
  let count = 0
  for (const name of topics)
    for (const group of ['g', undefined])
      for await (const letter of broker.deadLetters(topic(name, { groups: ['g'] }), { group }).list()) {
        if (count++ < 3) console.error(`dead letter ${letter.id}: ${letter.reason}: ${letter.error}`)
      }
  return count
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const { values } = parseArgs({
    options: {
      on: { type: 'string', default: 'sqlite' },
      ids: { type: 'string', default: '10000' },
      kills: { type: 'string', default: '8' },
      processes: { type: 'string', default: '4' },
      seed: { type: 'string', default: '1' },
      seconds: { type: 'string' },
      fresh: { type: 'boolean', default: false },
    },
  })
  const { on } = values
  if (on !== 'sqlite' && on !== 'rabbitmq' && on !== 'kafka')
    throw new Error(`--on ${on}: there are sqlite, rabbitmq and kafka`)
  const [ids, kills, processes, seed] = [values.ids, values.kills, values.processes, values.seed].map(Number) as [
    number,
    number,
    number,
    number,
  ]
  const folder = fileURLToPath(new URL(`../../.faults/reliability-${on}`, import.meta.url))
  if (values.fresh) rmSync(folder, { recursive: true, force: true })
  mkdirSync(folder, { recursive: true })
  const command = `pnpm test:faults reliability --on=${on} --ids=${ids} --kills=${kills} --processes=${processes} --seed=${seed}`
  const forMs = values.seconds === undefined ? undefined : Number(values.seconds) * 1_000
  const result = await patternRun({ on, ids, kills, processes, seed }, folder, forMs)
  if (result === undefined) {
    console.log('put down; the same command goes on')
    process.exit(0)
  }
  const evidence = { command, commit: commit(), date: new Date().toISOString().slice(0, 10), seed, ...result }
  console.log(JSON.stringify(evidence, undefined, 2))
  const path = fileURLToPath(new URL(`../../evidence/reliability-${on}.json`, import.meta.url))
  writeFileSync(path, `${JSON.stringify(evidence, undefined, 2)}\n`)
  process.exitCode = isClean(result.faults) ? 0 : 1
}
