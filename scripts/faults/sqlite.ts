// `pnpm test:faults sqlite [--messages=100000] [--kills=50] [--freezes=0] [--changes=0] [--processes=4] [--seed=1] [--json]`:
// processes on one SQLite file, each killed (SIGKILL) at random while it sends, handles and relays; with --freezes it is then frozen (SIGSTOP) for 15 s
// at a time, past its leases, and with --changes=3000 one more member joins or leaves every 3 s. Then the ledger is checked, and what was seen is
// written to evidence/sqlite.json, or sqlite-freezes.json.
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
  /** Of each process, of `freezeMs` each, after its kills. */
  readonly freezes: number
  readonly freezeMs: number
  /** How often one more member joins or leaves; 0: never. */
  readonly changeMs: number
  readonly processes: number
  readonly seed: number
}

/** What a fault run showed. */
export interface FaultResult {
  readonly check: CheckResult
  readonly kills: number
  readonly freezes: number
  /** How often one more member has joined and left. */
  readonly changes: number
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

/** What the processes of a run share. */
interface Ground extends FaultRun {
  readonly folder: string
  readonly quota: number
  readonly random: () => number
  /** Looks at the file after a kill. */
  readonly check: () => void
}

/** Runs it in a folder of its own, which goes when all is well. */
export async function faultRun(run: FaultRun): Promise<FaultResult> {
  const from = performance.now()
  const folder = mkdtempSync(join(tmpdir(), 'posthorn-faults-'))
  mkdirSync(join(folder, 'ledger'))
  const own = new DatabaseSync(join(folder, 'app.db'), { timeout: 20_000 })
  own.exec(`PRAGMA journal_mode = WAL; CREATE TABLE app_orders (id TEXT);
    CREATE TABLE app_effects (no INTEGER PRIMARY KEY, id TEXT, grp TEXT, t REAL)`)
  let checked = 0
  let damaged = 0
  const check = (): void => {
    checked++
    if (own.prepare('PRAGMA integrity_check').get()?.['integrity_check'] !== 'ok') damaged++
  }
  const quota = Math.ceil(run.messages / run.processes)
  const ground: Ground = { ...run, folder, quota, random: randomFrom(run.seed), check }
  const sent = new AbortController()
  const visits = visited(ground, sent.signal)
  const children = await Promise.all(Array.from({ length: run.processes }, (_, n) => livesOf(ground, `p${n}`)))
  sent.abort()
  const changes = await visits
  await drained(own)
  for (const child of children) child.kill('SIGTERM')
  await Promise.all(children.map(exited))
  check()
  const result = {
    check: await judged(ground, own),
    kills: run.kills * run.processes,
    freezes: run.freezes * run.processes,
    changes,
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

/** A process; a send of it that is under way may be held up for `frozenMs` by a freeze, beside its own deadline. */
function started(ground: Ground, name: string, quota: number, frozenMs = 0): ChildProcess {
  const { folder, kills, freezes } = ground
  // So slow that the kills and freezes fall into the sending.
  const paceMs = Math.round((kills * 900 + freezes * 2_000) / (ground.quota / 10))
  return fork(member, [join(folder, 'app.db'), join(folder, 'ledger'), name, `${quota}`, `${paceMs}`, `${frozenMs}`], {
    execArgv: ['--conditions=posthorn:source', '--disable-warning=ExperimentalWarning'],
    // Hundreds of starts: what is compiled once need not be again.
    env: { ...process.env, NODE_COMPILE_CACHE: join(folder, 'compiled') },
    stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
  })
}

/** One process after the other under one name, each killed but the last, which is frozen instead. Resolves with it when it has sent everything. */
async function livesOf(ground: Ground, name: string): Promise<ChildProcess> {
  const { kills, freezes, freezeMs, quota, random, check } = ground
  for (let n = 0; n < kills; n++) {
    const child = started(ground, name, quota)
    await said(child, 'ready', name)
    await sleep(400 + random() * 1_000)
    child.kill('SIGKILL')
    await exited(child)
    check()
  }
  const last = started(ground, name, quota, freezes > 0 ? freezeMs : 0)
  const sent = said(last, 'sent', name)
  if (freezes > 0) await said(last, 'ready', name)
  for (let n = 0; n < freezes; n++) {
    await sleep(400 + random() * 1_000)
    last.kill('SIGSTOP')
    await sleep(freezeMs)
    last.kill('SIGCONT')
  }
  await sent
  return last
}

/** One more member joins, handles and leaves in good order, again and again; how often. */
async function visited(ground: Ground, until: AbortSignal): Promise<number> {
  if (ground.changeMs === 0) return 0
  let changes = 0
  while (!until.aborted) {
    const guest = started(ground, `v${changes}`, 0)
    await said(guest, 'ready', 'a guest')
    await sleep(ground.changeMs)
    guest.kill('SIGTERM')
    const code = await exited(guest)
    if (code !== 0) throw new Error(`a guest left with ${code}`)
    changes++
    await sleep(ground.changeMs, undefined, { signal: until }).catch(() => {})
  }
  return changes
}

function exited(child: ChildProcess): Promise<number | null> {
  if (child.exitCode !== null || child.signalCode !== null) return Promise.resolve(child.exitCode)
  return new Promise((resolve) => child.once('exit', resolve))
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

async function judged({ folder, freezes, freezeMs }: Ground, own: DatabaseSync): Promise<CheckResult> {
  const all = checker({
    ordered: ['billing'],
    groups: { orders: ['billing'], relayed: ['audit'] },
    // Who is frozen with the lock of the file in hand holds up the handlers that a guest waits for.
    limits: { closeMs: 10_000 + (freezes > 0 ? freezeMs : 0) },
  })
  for await (const line of readLedger(join(folder, 'ledger'))) {
    if (line.torn === true) all.addTorn()
    else all.add(line.entry, line.writer)
  }
  // Effects are what the file says: they came with their transactions. In the order in which they came.
  for (const row of own.prepare('SELECT id, grp, t FROM app_effects ORDER BY no').all())
    all.add({ e: 'effect', t: row['t'] as number, id: row['id'] as string, group: row['grp'] as string }, 'file')
  return all.result()
}

function torn(own: DatabaseSync): { torn: number; tornSends: number } {
  // Made here and not with the table: the members write effects, and are not to pay for how they are judged.
  own.exec('CREATE INDEX app_effects_of ON app_effects (grp, id)')
  const count = (text: string): number => own.prepare(text).get()?.['n'] as number
  return {
    torn: count(`SELECT count(*) AS n FROM app_effects e WHERE grp = 'billing'
      AND CAST(substr(id, instr(substr(id, 3), '-') + 3) AS INTEGER) % 7 = 0
      AND NOT EXISTS (SELECT 1 FROM app_effects a WHERE a.grp = 'audit' AND a.id = 'r-' || e.id)`),
    tornSends: count(`SELECT count(*) AS n FROM app_orders o
      WHERE NOT EXISTS (SELECT 1 FROM app_effects e WHERE e.grp = 'billing' AND e.id = o.id)`),
  }
}

function evidence(command: string, result: FaultResult): unknown {
  const { check, seconds, ...faults } = result
  return {
    command,
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
      freezes: { type: 'string', default: '0' },
      changes: { type: 'string', default: '0' },
      processes: { type: 'string', default: '4' },
      seed: { type: 'string', default: '1' },
      json: { type: 'boolean', default: false },
    },
  })
  const run: FaultRun = {
    messages: Number(values.messages),
    kills: Number(values.kills),
    freezes: Number(values.freezes),
    freezeMs: 15_000,
    changeMs: Number(values.changes),
    processes: Number(values.processes),
    seed: Number(values.seed),
  }
  const result = await faultRun(run)
  const { check, ...rest } = result
  const said = ['messages', 'kills', 'freezes', 'changes', 'processes', 'seed'] as const
  const command = ['pnpm test:faults sqlite', ...said.map((name) => `--${name}=${values[name]}`)].join(' ')
  writeFileSync(
    join(checkout, 'evidence', `sqlite${run.freezes > 0 ? '-freezes' : ''}.json`),
    `${JSON.stringify(evidence(command, result), undefined, 2)}\n`,
  )
  if (values.json) console.log(JSON.stringify({ ...rest, ...check }))
  else console.log(`${format(check)}\n${JSON.stringify(rest)}`)
  process.exitCode = isClean(result) ? 0 : 1
}
