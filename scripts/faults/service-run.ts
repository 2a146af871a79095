// One run of a small service of several processes on a broker while things go wrong, and what its ledger says.
import { setTimeout as sleep } from 'node:timers/promises'
import { type Broker, connect } from '../../packages/posthorn/src/index.ts'
import { type CheckResult, checkFolder } from '../../packages/testkit/src/ledger/checker.ts'
import { fileLedger } from '../../packages/testkit/src/ledger/file.ts'
import type { Ledger } from '../../packages/testkit/src/ledger/ledger.ts'
import { randomFrom } from './random.ts'
import { type Crew, crewOf } from './service-crew.ts'
import type { Fault, FaultStage, Wires } from './service-faults.ts'
import type { MemberOrders } from './service-member.ts'
import { work, workGroups } from './service-work.ts'

/** Where a service finds its broker. */
export interface Service {
  /** Past the wires, for whoever takes stock at the end. */
  readonly direct: string
  /** By the wires, for the member of that number. */
  urlOf(does: MemberOrders['does'], member: number): string
  /** Undefined where members reach the broker without a network. */
  readonly wires?: Wires | undefined
  /** Whether the broker delays by itself. */
  readonly delays: boolean
  /** Longest that what was delayed may be late after a fault; the end waits so long for the last of it. */
  readonly lateMs?: number | undefined
}

/** How big a run is, and what goes wrong in it, in this order. */
export interface ServiceRun {
  readonly service: Service
  readonly faults: readonly Fault[]
  /** So many at least: senders go on as long as faults do, so that every fault falls into sending and handling. */
  readonly messages: number
  readonly seed: number
  /** For the ledger; empty or not there yet. */
  readonly folder: string
  /** How long a fault may be expected to take, for the pace of the senders. */
  readonly msPerFault: number
  /** Deadline of a send; undefined: the default, which some faults outlast, so that sends end as unknown. */
  readonly sendTimeoutMs?: number | undefined
}

/** What a run showed. */
export interface ServiceResult {
  readonly check: CheckResult
  /** Faults after which senders or a group had not got on in time. */
  readonly stuck: readonly string[]
  /** Faults before or after which nothing was sent, or nothing handled in a group, within the load: they show nothing. */
  readonly idle: readonly string[]
  /** Processes that ended otherwise than they were told to. */
  readonly accidents: readonly string[]
  readonly seconds: number
}

/** After the end of a fault all go on within so long, by themselves. */
const recoveryMs = 15_000
const senders = 2
/** Nothing has moved for so long: it does not go on by itself. */
const stuckMs = 60_000

/** Runs it. */
export async function serviceRun(run: ServiceRun): Promise<ServiceResult> {
  const { service, faults, messages, folder } = run
  const from = performance.now()
  const namespace = `faults-${process.pid}-${Math.round(from)}`
  const ledger = fileLedger(folder, 'run', { durable: false })
  const quota = Math.ceil(messages / senders)
  const crew = crewOf((name, does, member) => ({
    url: service.urlOf(does, member),
    namespace,
    folder,
    name,
    does,
    quota,
    // Twenty at a time.
    paceMs: Math.floor((faults.length * run.msPerFault) / (quota / 20)),
    delays: service.delays,
    sendTimeoutMs: run.sendTimeoutMs,
  }))
  const stuck: string[] = []
  let loadEndsAt: number | undefined
  try {
    for (const does of ['audit', 'billing', 'billing', ...Array(senders).fill('send')] as const) await crew.join(does)
    if (!(await crew.movesOn(recoveryMs))) stuck.push('start')
    const stage: FaultStage = { namespace, crew, wires: service.wires, random: randomFrom(run.seed) }
    for (const fault of faults) {
      // A moment in which all is well: what was just made is on disk, and the fault falls into the middle of the work.
      await sleep(1_500)
      const over = ledger.fault(fault.name)
      await fault.run(stage)
      over()
      if (!(await crew.movesOn(recoveryMs))) stuck.push(fault.name)
    }
    loadEndsAt = ledger.now()
    crew.tell({ say: 'finish' })
    await using broker = await connect(service.direct, { namespace, log: false })
    if (!(await drained(crew, broker, service.lateMs ?? 3_000))) stuck.push('the end')
    await takeStock(broker, ledger)
  } finally {
    await crew.close()
    await ledger.end()
  }
  const check = await checkFolder(folder, {
    groups: workGroups,
    ordered: ['billing'],
    // At least once: after a fault a message may come again, and there is no inbox.
    deadlineMs: run.sendTimeoutMs,
    allow: ['duplicate-effect'],
    limits: { recoveryMs, latenessAfterHealMs: service.lateMs },
    loadEndsAt,
  })
  return {
    check,
    stuck,
    idle: idleFaults(check),
    accidents: crew.accidents,
    seconds: Math.round((performance.now() - from) / 100) / 10,
  }
}

/** Whether everything held, and every fault fell into the load. */
export function isClean({ check, stuck, idle, accidents }: ServiceResult): boolean {
  return check.ok && stuck.length === 0 && idle.length === 0 && accidents.length === 0
}

/** What did not hold beside the findings of the ledger, a line each. */
export function troubles({ stuck, idle, accidents }: ServiceResult): readonly string[] {
  return [...stuck.map((each) => `stuck after ${each}`), ...idle.map((each) => `no load around ${each}`), ...accidents]
}

function idleFaults({ faults }: CheckResult): readonly string[] {
  return faults
    .filter(({ sends, effects }) =>
      [sends, ...workGroups.map((group) => effects[group])].some((flow) => !flow?.before || !flow.after),
    )
    .map(({ name }) => name)
}

/** Waits until all was sent and nothing is left in the groups, however long a busy machine takes; false: nothing moved for a minute. */
async function drained(crew: Crew, broker: Broker, quietMs: number): Promise<boolean> {
  for (let last = -1, since = performance.now(); ; ) {
    if (!(await crew.settles(quietMs, stuckMs))) return false
    let left = 0
    for (const group of workGroups) left += (await broker.lag(work, { group })).backlog
    if (left === 0) return true
    if (left !== last) since = performance.now()
    last = left
    if (performance.now() - since > stuckMs) return false
  }
}

/** Writes down what lies on the shelves, and what is left in the groups. */
async function takeStock(broker: Broker, ledger: Ledger): Promise<void> {
  for (const group of workGroups) {
    for await (const letter of broker.deadLetters(work, { group }).list())
      ledger.letter(letter.id, group, letter.reason)
    ledger.backlog(group, (await broker.lag(work, { group })).backlog)
  }
  for await (const letter of broker.deadLetters(work).list()) ledger.letter(letter.id, undefined, letter.reason)
}
