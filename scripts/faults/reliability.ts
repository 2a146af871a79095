// `pnpm test:faults reliability [--ids=10000] [--kills=8] [--processes=4] [--seed=1] [--json]`: the inbox, the schedule and half messages on
// one SQLite file, by processes that are killed (SIGKILL) at random while they send, cancel, prepare and handle.
import { type ChildProcess, fork } from 'node:child_process'
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { randomFrom } from './random.ts'

/** How big a run is. */
export interface PatternRun {
  /** Each is sent three times, and has a schedule; three of ten have a half message. */
  readonly ids: number
  /** Of each process. */
  readonly kills: number
  readonly processes: number
  readonly seed: number
}

/** What must be 0. */
export interface PatternFaults {
  /** Acknowledged, and no effect. */
  readonly lost: number
  /** Two effects of one id. */
  readonly twice: number
  readonly early: number
  /** Delivered although somebody was told `cancelled`. */
  readonly cancelledDelivered: number
  readonly rolledBackVisible: number
  readonly committedMissing: number
  readonly letters: number
  readonly undrained: number
}

/** What a run showed. */
export interface PatternResult {
  readonly faults: PatternFaults
  readonly counts: Readonly<Record<string, number>>
  readonly seconds: number
}

const member = fileURLToPath(new URL('./reliability-member.ts', import.meta.url))

/** Runs it in a folder of its own, which goes when all is well. */
export async function patternRun({ ids, kills, processes, seed }: PatternRun): Promise<PatternResult> {
  const from = performance.now()
  const folder = mkdtempSync(join(tmpdir(), 'posthorn-patterns-'))
  const file = join(folder, 'app.db')
  const own = new DatabaseSync(file, { timeout: 20_000 })
  own.exec(`PRAGMA journal_mode = WAL; CREATE TABLE app_effects (no INTEGER PRIMARY KEY, id TEXT, t INTEGER);
    CREATE INDEX app_effects_id ON app_effects (id);
    CREATE TABLE app_paid (id TEXT PRIMARY KEY, state TEXT)`)
  const random = randomFrom(seed)
  const quota = Math.ceil(ids / processes)
  // So slow that the kills fall into the sending.
  const paceMs = Math.round((kills * 1_200) / (quota / 20))
  let killed = 0
  const lives = async (name: string): Promise<ChildProcess> => {
    for (let life = 0; ; life++) {
      const child = fork(member, [file, folder, name, `${quota}`, `${life}`, `${paceMs}`], {
        execArgv: ['--conditions=posthorn:source', '--disable-warning=ExperimentalWarning'],
        stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
      })
      const gone = new Promise<void>((resolve) => child.once('exit', () => resolve()))
      if (life >= kills) {
        const sent = new Promise<true>((resolve) => child.once('message', () => resolve(true)))
        if ((await Promise.race([sent, gone])) !== true) throw new Error(`${name} ended by itself`)
        return child
      }
      await sleep(700 + random() * 1_200)
      child.kill('SIGKILL')
      await gone
      killed++
    }
  }
  const children = await Promise.all(Array.from({ length: processes }, (_, n) => lives(`p${n}`)))
  // Nothing is being sent any more: the immunity time of what vanished may be over at once.
  own.exec("UPDATE posthorn_held SET due = 0 WHERE state = 'prepared'")
  const undrained = await drained(own)
  for (const child of children) child.kill('SIGTERM')
  await Promise.all(children.map((child) => child.exitCode ?? new Promise((resolve) => child.once('exit', resolve))))
  const result = judged(folder, own, { killed, undrained })
  own.close()
  if (isClean(result.faults)) rmSync(folder, { recursive: true })
  else console.error(`the file and its notes are kept in ${folder}`)
  return { ...result, seconds: Math.round((performance.now() - from) / 100) / 10 }
}

/** Whether everything held. */
export function isClean(faults: PatternFaults): boolean {
  return Object.values(faults).every((count) => count === 0)
}

/** Waits until nothing waits; how much does at last. */
async function drained(own: DatabaseSync): Promise<number> {
  const open = own.prepare(`SELECT (SELECT count(*) FROM posthorn_delivery) + (SELECT count(*) FROM posthorn_delayed)
    + (SELECT count(*) FROM posthorn_held WHERE state IN ('ready', 'prepared'))
    + (SELECT count(*) FROM posthorn_message JOIN posthorn_cursor AS c ON seq > c.at AND seq < (topic + 1) * 549755813888) AS n`)
  let left = -1
  for (const end = performance.now() + 180_000; performance.now() < end && left !== 0; await sleep(200))
    left = Number(open.get()?.['n'])
  return left
}

function judged(
  folder: string,
  own: DatabaseSync,
  { killed, undrained }: { readonly killed: number; readonly undrained: number },
): Omit<PatternResult, 'seconds'> {
  const effects = new Map<string, { count: number; readonly at: number }>()
  for (const { id, t } of own.prepare('SELECT id, t FROM app_effects ORDER BY no').all()) {
    const found = effects.get(String(id))
    if (found === undefined) effects.set(String(id), { count: 1, at: Number(t) })
    else found.count++
  }
  const said = notes(folder)
  const has = (id: string): boolean => effects.has(id)
  const cancelled = said('cancelled')
  const gone = new Set([...cancelled, ...said('cancel').filter((id) => !has(id))])
  const decided = own.prepare('SELECT id FROM app_paid').all()
  const committed = new Set(decided.map(({ id }) => String(id)))
  const halves = [...effects.keys()].filter((id) => id.startsWith('h-'))
  const scheduled = said('scheduled')
  return {
    faults: {
      // A cancel whose asker was killed before the answer may have happened.
      lost: [...said('sent'), ...scheduled].filter((id) => !has(id) && !gone.has(id)).length,
      twice: [...effects.values()].filter(({ count }) => count > 1).length,
      early: [...effects].filter(([id, { at }]) => id.startsWith('s-') && at < Number(id.split('-').at(-1))).length,
      cancelledDelivered: cancelled.filter(has).length,
      rolledBackVisible: halves.filter((id) => !committed.has(id)).length,
      committedMissing: [...committed].filter((id) => !has(id)).length,
      letters: Number(own.prepare('SELECT count(*) AS n FROM posthorn_letter').get()?.['n']),
      undrained,
    },
    counts: {
      killed,
      ids: said('sent').length,
      effects: effects.size,
      schedules: scheduled.length,
      cancelled: cancelled.length,
      tooLate: said('too-late').length,
      halvesCommitted: said('committed').length,
      halvesRolledBack: said('rolledback').length,
      halvesVanished: said('vanished').length,
    },
  }
}

/** What the members wrote down, by its first word. */
function notes(folder: string): (word: string) => readonly string[] {
  const all = new Map<string, string[]>()
  for (const each of readdirSync(folder).filter((name) => name.endsWith('.log')))
    for (const line of readFileSync(join(folder, each), 'utf8').split('\n')) {
      const [word = '', id = ''] = line.split(' ')
      const list = all.get(word)
      if (list === undefined) all.set(word, [id])
      else list.push(id)
    }
  return (word) => all.get(word) ?? []
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const { values } = parseArgs({
    options: {
      ids: { type: 'string', default: '10000' },
      kills: { type: 'string', default: '8' },
      processes: { type: 'string', default: '4' },
      seed: { type: 'string', default: '1' },
      json: { type: 'boolean', default: false },
    },
  })
  const size = {
    ids: Number(values.ids),
    kills: Number(values.kills),
    processes: Number(values.processes),
    seed: Number(values.seed),
  }
  const result = await patternRun(size)
  console.log(JSON.stringify({ run: 'reliability on sqlite', ...size, ...result }, undefined, values.json ? 2 : 0))
  process.exitCode = isClean(result.faults) ? 0 : 1
}
