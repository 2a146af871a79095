// `pnpm test:faults sqlite [--messages=100000] [--kills=50] [--processes=4] [--seed=1] [--json]`:
// processes on one SQLite file, each killed (SIGKILL) at random while it sends, handles and relays; then the ledger is checked, and what
// was seen is written to evidence/sqlite.json.
import { type ChildProcess, execFileSync, fork } from 'node:child_process'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { type CheckResult, checker } from '../../packages/testkit/src/ledger/checker.ts'
import { readLedger } from '../../packages/testkit/src/ledger/file.ts'
import { format } from '../../packages/testkit/src/ledger/report.ts'
import { checkout } from '../brokers/places.ts'
import { randomFrom } from './random.ts'

/** How big a fault run is. */
export interface FaultRun {
  readonly messages: number
  /** Of each process. */
  readonly kills: number
  readonly processes: number
  readonly seed: number
}

/** What a fault run showed. */
export interface FaultResult {
  readonly check: CheckResult
  readonly kills: number
  /** Runs of `PRAGMA integrity_check`: after each kill and at the end. */
  readonly checked: number
  /** Of these did not say ok. */
  readonly damaged: number
  /** Effects that a handler had in one transaction, of which one is there and the other not. */
  readonly torn: number
  /** Rows of a sender's transaction without their message, or the other way. */
  readonly tornSends: number
  readonly seconds: number
}

const member = fileURLToPath(new URL('./sqlite-member.ts', import.meta.url))

/** Runs it in a folder of its own, which goes when all is well. */
export async function faultRun({ messages, kills, processes, seed }: FaultRun): Promise<FaultResult> {
  const from = performance.now()
  const folder = mkdtempSync(join(tmpdir(), 'posthorn-faults-'))
  const file = join(folder, 'app.db')
  const ledger = join(folder, 'ledger')
  mkdirSync(ledger)
  const own = new DatabaseSync(file, { timeout: 20_000 })
  own.exec(`PRAGMA journal_mode = WAL; CREATE TABLE app_orders (id TEXT);
    CREATE TABLE app_effects (no INTEGER PRIMARY KEY, id TEXT, grp TEXT, t REAL)`)
  const random = randomFrom(seed)
  const quota = Math.ceil(messages / processes)
  // So slow that the kills fall into the sending.
  const paceMs = kills === 0 ? 0 : Math.round((kills * 900) / (quota / 10))
  let checked = 0
  let damaged = 0
  const check = (): void => {
    checked++
    if (own.prepare('PRAGMA integrity_check').get()?.['integrity_check'] !== 'ok') damaged++
  }
  let killed = 0
  const life = async (name: string): Promise<ChildProcess> => {
    for (let n = 0; ; n++) {
      const child = fork(member, [file, ledger, name, `${quota}`, `${paceMs}`], {
        execArgv: ['--conditions=posthorn:source', '--disable-warning=ExperimentalWarning'],
        // Two hundred starts: what is compiled once need not be again.
        env: { ...process.env, NODE_COMPILE_CACHE: join(folder, 'compiled') },
        stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
      })
      const gone = new Promise((resolve) => child.once('exit', resolve))
      if (n >= kills) {
        await said(child, 'sent', name)
        return child
      }
      await said(child, 'ready', name)
      await sleep(400 + random() * 1_000)
      child.kill('SIGKILL')
      await gone
      killed++
      check()
    }
  }
  const children = await Promise.all(Array.from({ length: processes }, (_, n) => life(`p${n}`)))
  await drained(own)
  for (const child of children) child.kill('SIGTERM')
  await Promise.all(children.map((child) => new Promise((resolve) => child.once('exit', resolve))))
  check()
  const result = {
    check: await judged(ledger, own),
    kills: killed,
    checked,
    damaged,
    ...torn(own),
    seconds: (performance.now() - from) / 1_000,
  }
  own.close()
  if (isClean(result)) rmSync(folder, { recursive: true })
  else console.error(`the file and its ledger are kept in ${folder}`)
  return result
}

/** Whether everything held. */
export function isClean({ check, damaged, torn, tornSends }: FaultResult): boolean {
  return check.ok && damaged + torn + tornSends === 0
}

function said(child: ChildProcess, word: string, name: string): Promise<void> {
  return new Promise((resolve, reject) => {
    child.on('message', (message) => {
      if (message === word) resolve()
    })
    child.once('exit', (code) => reject(new Error(`${name} ended by itself (${code}) before it was ${word}`)))
  })
}

/** Longest that the members may handle nothing while something waits. */
const stillMs = 60_000

/** Waits until nothing waits any more, as long as there is less and less of it. */
async function drained(own: DatabaseSync): Promise<void> {
  const open = own.prepare(`SELECT (SELECT count(*) FROM posthorn_delivery) + (SELECT count(*) FROM posthorn_delayed)
    + (SELECT count(*) FROM posthorn_message JOIN posthorn_cursor c ON seq > c.at AND seq < (topic + 1) * 549755813888) AS n`)
  let least = Number.POSITIVE_INFINITY
  for (let since = performance.now(); performance.now() - since < stillMs; await sleep(500)) {
    const left = Number(open.get()?.['n'])
    if (left === 0) return
    if (left >= least) continue
    least = left
    since = performance.now()
  }
}

async function judged(ledger: string, own: DatabaseSync): Promise<CheckResult> {
  const all = checker({ ordered: ['billing'], groups: { orders: ['billing'], relayed: ['audit'] } })
  for await (const line of readLedger(ledger)) {
    if (line.torn === true) all.addTorn()
    else all.add(line.entry, line.writer)
  }
  // Effects are what the file says: they came with their transactions. In the order in which they came.
  for (const row of own.prepare('SELECT id, grp, t FROM app_effects ORDER BY no').all())
    all.add({ e: 'effect', t: row['t'] as number, id: row['id'] as string, group: row['grp'] as string }, 'file')
  return all.result()
}

function torn(own: DatabaseSync): { torn: number; tornSends: number } {
  const count = (text: string): number => own.prepare(text).get()?.['n'] as number
  return {
    torn: count(`SELECT count(*) AS n FROM app_effects e WHERE grp = 'billing'
      AND CAST(substr(id, instr(substr(id, 3), '-') + 3) AS INTEGER) % 7 = 0
      AND NOT EXISTS (SELECT 1 FROM app_effects a WHERE a.grp = 'audit' AND a.id = 'r-' || e.id)`),
    tornSends: count(`SELECT count(*) AS n FROM app_orders o
      WHERE NOT EXISTS (SELECT 1 FROM app_effects e WHERE e.grp = 'billing' AND e.id = o.id)`),
  }
}

function evidence({ messages, kills, processes, seed }: FaultRun, result: FaultResult): unknown {
  const { check, seconds, ...faults } = result
  return {
    command: `pnpm test:faults sqlite --messages=${messages} --kills=${kills} --processes=${processes} --seed=${seed}`,
    date: new Date().toISOString().slice(0, 10),
    commit: execFileSync('git', ['rev-parse', '--short', 'HEAD'], { cwd: checkout, encoding: 'utf8' }).trim(),
    clean: isClean(result),
    seconds: Math.round(seconds),
    ...faults,
    findings: Object.fromEntries(Object.entries(check.findings).map(([name, { count }]) => [name, count])),
    counts: check.counts,
  }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const { values } = parseArgs({
    options: {
      messages: { type: 'string', default: '100000' },
      kills: { type: 'string', default: '50' },
      processes: { type: 'string', default: '4' },
      seed: { type: 'string', default: '1' },
      json: { type: 'boolean', default: false },
    },
  })
  const run: FaultRun = {
    messages: Number(values.messages),
    kills: Number(values.kills),
    processes: Number(values.processes),
    seed: Number(values.seed),
  }
  const result = await faultRun(run)
  const { check, ...rest } = result
  writeFileSync(join(checkout, 'evidence', 'sqlite.json'), `${JSON.stringify(evidence(run, result), undefined, 2)}\n`)
  if (values.json) console.log(JSON.stringify({ ...rest, ...check }))
  else console.log(`${format(check)}\n${JSON.stringify(rest)}`)
  process.exitCode = isClean(result) ? 0 : 1
}
