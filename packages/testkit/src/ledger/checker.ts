// Reads a ledger and says what did not hold. Duplicated deliveries are counted, not condemned: at least once allows them.
import { anything, checkOptions, ms, object, type Shape, whole } from '@posthorn/core/driver'
import type { Entry } from './entries.ts'
import { collectFates, type Fate, type Fates, never } from './fates.ts'
import { readLedger } from './file.ts'
import { collectFindings, type Find, type FindingName, type Findings } from './findings.ts'
import { judgeOrder } from './order.ts'
import { judge } from './rules.ts'
import { type FaultReport, faultWindows, type Lateness, latenessOf, recoveryOf } from './timing.ts'

/** Figures beyond which a run fails; without one the figure is only reported. */
export interface CheckLimits {
  readonly latenessP99Ms?: number | undefined
  readonly latenessAfterHealMs?: number | undefined
  /** From the end of a fault to the first acknowledged send. */
  readonly recoveryMs?: number | undefined
  readonly drainMs?: number | undefined
  readonly duplicateDeliveries?: number | undefined
  /** Default 10 s. */
  readonly closeMs?: number | undefined
}

/** What a run promised. */
export interface CheckOptions {
  /**
   * Groups that every message must reach, or by topic; an intent may name its own. Default: all that occur, so name them where a group
   * could get nothing at all.
   */
  readonly groups?: readonly string[] | Readonly<Record<string, readonly string[]>> | undefined
  /** Groups that claim order by key. Default all. */
  readonly ordered?: readonly string[] | undefined
  /** What is reported and no reason to fail: `duplicate-effect` without an inbox, `order` where none is claimed, `lost` at most once. */
  readonly allow?: readonly FindingName[] | undefined
  readonly limits?: CheckLimits | undefined
  /** Of sends that name none. Default 10 s. */
  readonly deadlineMs?: number | undefined
  /** By how much clocks may differ. Default 5 ms. */
  readonly clockEpsilonMs?: number | undefined
  /** How long after the check of expiry a delivery may be written down. Default 250 ms. */
  readonly expiryEpsilonMs?: number | undefined
  /** When the load ended under which faults were to fall, by the ledger's clock. Default: with the run. */
  readonly loadEndsAt?: number | undefined
}

/** How many messages there were of each set. */
export interface CheckCounts {
  readonly attempted: number
  readonly acknowledged: number
  readonly failed: number
  readonly unknown: number
  readonly cancelled: number
  readonly rolledBack: number
  readonly deliveries: number
  readonly duplicateDeliveries: number
  readonly effects: number
  readonly letters: number
  /** Last lines that a kill cut off. */
  readonly torn: number
}

/** What a run showed; plain data, for `evidence/<name>.json`. */
export interface CheckResult {
  readonly ok: boolean
  readonly tookMs: number
  readonly counts: CheckCounts
  readonly findings: Findings
  readonly lateness: Lateness
  readonly faults: readonly FaultReport[]
}

/** Takes entries one by one, so that a ledger need not fit into memory as text. */
export interface Checker {
  add(entry: Entry, writer?: string): void
  addTorn(): void
  result(): CheckResult
}

const list: Shape[string] = (value) => (Array.isArray(value) ? undefined : 'a list')
const shape = {
  groups: (value) => (Array.isArray(value) ? undefined : object(value)),
  ordered: list,
  allow: list,
  limits: object,
  deadlineMs: ms(),
  clockEpsilonMs: ms(),
  expiryEpsilonMs: ms(),
  loadEndsAt: anything,
} satisfies Shape
const limitsShape = {
  latenessP99Ms: ms(),
  latenessAfterHealMs: ms(),
  recoveryMs: ms(),
  drainMs: ms(),
  duplicateDeliveries: whole(0, Number.MAX_SAFE_INTEGER),
  closeMs: ms(),
} satisfies Shape

/** An empty checker. A slip in its options is refused: it would be a check that is not made. */
export function checker(options: CheckOptions = {}): Checker {
  checkOptions('checker()', options, shape)
  checkOptions('checker(): limits', options.limits, limitsShape)
  const fates = collectFates()
  const run = newRun()
  return {
    add: (entry, writer = '') => add(run, fates, entry, writer),
    addTorn: () => void run.torn++,
    result: () => conclude(run, fates, options),
  }
}

/** Checks entries that are at hand. */
export function check(entries: Iterable<Entry>, options?: CheckOptions): CheckResult {
  const all = checker(options)
  for (const entry of entries) all.add(entry)
  return all.result()
}

/** Checks the files of a folder. */
export async function checkFolder(folder: string, options?: CheckOptions): Promise<CheckResult> {
  const all = checker(options)
  for await (const line of readLedger(folder)) {
    if (line.torn === true) all.addTorn()
    else all.add(line.entry, line.writer)
  }
  return all.result()
}

type Of<E extends Entry['e']> = Extract<Entry, { readonly e: E }>

/** What is known of the run beside its messages. */
interface Run {
  startAt: number
  endAt: number
  torn: number
  readonly writers: Map<string, { at: number; clean: boolean }>
  readonly faults: Of<'fault'>[]
  readonly rejections: Of<'rejection'>[]
  readonly backlogs: Of<'backlog'>[]
  readonly ends: Of<'end'>[]
}

function newRun(): Run {
  return {
    startAt: never,
    endAt: -never,
    torn: 0,
    writers: new Map(),
    faults: [],
    rejections: [],
    backlogs: [],
    ends: [],
  }
}

function add(run: Run, fates: Fates, entry: Entry, name: string): void {
  if (entry.t < run.startAt) run.startAt = entry.t
  if (entry.t > run.endAt) run.endAt = entry.t
  const writer = run.writers.get(name)
  if (writer === undefined) run.writers.set(name, { at: entry.t, clean: entry.e === 'end' })
  else {
    writer.at = Math.max(writer.at, entry.t)
    writer.clean = entry.e === 'end'
  }
  if ('id' in entry) fates.add(entry, name)
  else if (entry.e === 'fault') run.faults.push(entry)
  else if (entry.e === 'rejection') run.rejections.push(entry)
  else if (entry.e === 'backlog') run.backlogs.push(entry)
  else run.ends.push(entry)
}

function conclude(run: Run, fates: Fates, options: CheckOptions): CheckResult {
  const { find, findings } = collectFindings(options.allow ?? [])
  const all = [...fates.byId.values()]
  const expected = expectation(fates, options)
  const rules = {
    clockEpsilonMs: options.clockEpsilonMs ?? 5,
    expiryEpsilonMs: options.expiryEpsilonMs ?? 250,
    deadlineMs: options.deadlineMs ?? 10_000,
    groups: fates.groups,
    expected,
    ending: (writer: string) => run.writers.get(writer) ?? { at: run.endAt, clean: false },
    endAt: run.endAt,
  }
  for (const fate of all) judge(fate, rules, find)
  judgeOrder(all, fates.groups, options.ordered, find)
  const counts = count(run, all)
  const windows = faultWindows(run.faults, run.endAt)
  const { loadEndsAt = run.endAt } = options
  const lateness = latenessOf(all, windows, loadEndsAt)
  const faults = recoveryOf(fates, windows, { startAt: run.startAt, loadEndsAt })
  judgeRun(run, options.limits ?? {}, find)
  judgeFigures({ counts, lateness, faults }, options.limits ?? {}, find)
  const ok = Object.values(findings).every((finding) => finding.count === 0 || finding.allowed)
  return { ok, tookMs: run.endAt < run.startAt ? 0 : run.endAt - run.startAt, counts, findings, lateness, faults }
}

/** Numbers of the groups that a message must reach; those named are numbered here, so that one that got nothing is not forgotten. */
function expectation(fates: Fates, { groups }: CheckOptions): (fate: Fate) => readonly number[] {
  const numbered = new Map<string, readonly number[]>()
  const numbersOf = (names: readonly string[]): readonly number[] => {
    const name = names.join('\0')
    let numbers = numbered.get(name)
    if (numbers === undefined) {
      numbers = names.map(fates.groupNumber)
      numbered.set(name, numbers)
    }
    return numbers
  }
  for (const { intent } of fates.byId.values()) if (intent?.groups !== undefined) numbersOf(intent.groups)
  if (groups !== undefined) (Array.isArray(groups) ? groups : Object.values(groups).flat()).forEach(fates.groupNumber)
  const everybody = fates.groups.slice()
  return ({ intent }) => {
    if (intent?.groups !== undefined) return numbersOf(intent.groups)
    if (groups === undefined) return numbersOf(everybody)
    if (isList(groups)) return numbersOf(groups)
    return numbersOf(groups[intent?.topic ?? ''] ?? [])
  }
}

function isList(groups: NonNullable<CheckOptions['groups']>): groups is readonly string[] {
  return Array.isArray(groups)
}

function count(run: Run, fates: readonly Fate[]): CheckCounts {
  const counts = {
    attempted: 0,
    acknowledged: 0,
    failed: 0,
    unknown: 0,
    cancelled: 0,
    rolledBack: 0,
    deliveries: 0,
    duplicateDeliveries: 0,
    effects: 0,
    letters: 0,
    torn: run.torn,
  }
  for (const fate of fates) {
    if (fate.intent !== undefined) counts.attempted++
    if (fate.cancelled) counts.cancelled++
    if (fate.rolledBack) counts.rolledBack++
    else if (fate.ok) counts.acknowledged++
    else if (fate.unknown || fate.open) counts.unknown++
    else if (fate.failed) counts.failed++
    if (fate.lettered < never) counts.letters++
    for (const group of fate.groups) {
      if (group === undefined) continue
      counts.deliveries += group.deliveries
      counts.duplicateDeliveries += Math.max(0, group.deliveries - 1)
      counts.effects += group.effects
      if (group.lettered < never) counts.letters++
    }
  }
  return counts
}

function judgeRun(run: Run, { closeMs = 10_000 }: CheckLimits, find: Find): void {
  for (const { error } of run.rejections) find('rejection', 'process', () => error)
  for (const { group, count } of run.backlogs)
    if (count > 0) find('backlog', group, () => `${count} messages are left in the group`)
  for (const end of run.ends) {
    if ((end.closeMs ?? 0) > closeMs) find('close', 'close', () => `it took ${Math.round(end.closeMs ?? 0)} ms`)
    if ((end.handles ?? 0) > 0) find('close', 'handles', () => `${end.handles} were left open`)
  }
}

function judgeFigures(
  { counts, lateness, faults }: Pick<CheckResult, 'counts' | 'lateness' | 'faults'>,
  limits: CheckLimits,
  find: Find,
): void {
  const over = (value: number | undefined, limit: number | undefined): boolean =>
    value !== undefined && limit !== undefined && value > limit
  if (over(lateness.healthy?.p99, limits.latenessP99Ms))
    find('late', 'p99', () => `${lateness.healthy?.p99} ms, the limit is ${limits.latenessP99Ms} ms`)
  if (over(lateness.afterHeal?.max, limits.latenessAfterHealMs))
    find('late', 'after a fault', () => `${lateness.afterHeal?.max} ms, the limit is ${limits.latenessAfterHealMs} ms`)
  if (over(counts.duplicateDeliveries, limits.duplicateDeliveries))
    find('duplicates', 'deliveries', () => `${counts.duplicateDeliveries}, the limit is ${limits.duplicateDeliveries}`)
  for (const fault of faults) {
    const { name, sendsAfterMs, drainedAfterMs } = fault
    if (sendsAfterMs !== 'untried' && over(sendsAfterMs ?? never, limits.recoveryMs))
      find(
        'recovery',
        name,
        () =>
          `first acknowledged send after ${sendsAfterMs ?? 'the end of time'} ms, the limit is ${limits.recoveryMs} ms`,
      )
    if (over(drainedAfterMs, limits.drainMs))
      find('recovery', name, () => `drained after ${drainedAfterMs} ms, the limit is ${limits.drainMs} ms`)
  }
}
