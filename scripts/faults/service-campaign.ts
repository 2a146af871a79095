// A long run in legs, each a run of its own: what is done is remembered, so that a campaign that was cut off goes on where it was.
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import type { FindingName } from '../../packages/testkit/src/ledger/findings.ts'
import { format } from '../../packages/testkit/src/ledger/report.ts'
import { brokersFolder, checkout } from '../brokers/places.ts'
import { seenOn } from '../evidence.ts'
import { randomFrom } from './random.ts'
import type { Fault } from './service-faults.ts'
import { isClean, type Service, type ServiceResult, type ServiceRun, serviceRun, troubles } from './service-run.ts'

/** What is run. */
export interface Campaign {
  /** Of `evidence/<name>.json`. */
  readonly name: string
  /** As typed, without options. */
  readonly command: string
  readonly messages: number
  readonly legs: number
  /** How many faults go wrong in all legs together. Default: each kind once a leg. */
  readonly times?: number | undefined
  /** Kinds of them: all in turn, in another order each round. */
  readonly faults: readonly Fault[]
  /** Legs that differ in their service and take turns: each gets all kinds by itself. Default 1. */
  readonly turns?: number | undefined
  /** Of a leg, counted from 0. */
  readonly service: (leg: number) => Promise<Service & AsyncDisposable>
  /** How long a fault may be expected to take, for the pace of the senders. Default 15 s. */
  readonly msPerFault?: number | undefined
  /** What ran, for the evidence: version, nodes. */
  readonly about: Readonly<Record<string, unknown>>
}

/** What is kept of a leg. */
interface Leg {
  readonly leg: number
  readonly seed: number
  readonly clean: boolean
  readonly seconds: number
  readonly counts: ServiceResult['check']['counts']
  readonly findings: Readonly<Partial<Record<FindingName, number>>>
  readonly allowed: Readonly<Partial<Record<FindingName, number>>>
  readonly lateness: ServiceResult['check']['lateness']
  readonly faults: ServiceResult['check']['faults']
  readonly stuck: readonly string[]
  readonly idle: readonly string[]
  readonly accidents: readonly string[]
}

/** Runs what is left of a campaign, by the options of the command line, and writes its evidence when nothing is. */
export async function runCampaign(campaign: Campaign): Promise<void> {
  const { values } = parseArgs({
    options: {
      messages: { type: 'string', default: `${campaign.messages}` },
      legs: { type: 'string', default: `${campaign.legs}` },
      faults: { type: 'string', default: `${campaign.times ?? campaign.legs * campaign.faults.length}` },
      seed: { type: 'string', default: '1' },
      // No leg is begun later than this.
      seconds: { type: 'string', default: '86400' },
      fresh: { type: 'boolean', default: false },
    },
  })
  const messages = Number(values.messages)
  const legs = Number(values.legs)
  const seed = Number(values.seed)
  const until = performance.now() + Number(values.seconds) * 1_000
  const plan = { messages, legs, faults: Number(values.faults), seed, commit: seenOn().commit }
  const { turns = 1 } = campaign
  const perLeg = Math.ceil(plan.faults / legs)
  const faultsOf = (leg: number): readonly Fault[] => {
    const [turn, nth] = [leg % turns, Math.floor(leg / turns)]
    return faultSequence(campaign.faults, seed + turn, (nth + 1) * perLeg).slice(nth * perLeg)
  }
  const done = values.fresh ? [] : remembered(campaign.name, plan)
  while (done.length < legs && performance.now() < until) {
    const leg = done.length
    const faults = faultsOf(leg)
    console.log(`leg ${leg + 1} of ${legs}, seed ${seed + leg}: ${faults.map(({ name }) => name).join(', ')}`)
    done.push(await runLeg(campaign, { leg, faults, messages: Math.ceil(messages / legs), seed: seed + leg }))
    remember(campaign.name, plan, done)
  }
  if (done.length < legs) {
    console.log(`${done.length} of ${legs} legs are done; the same command goes on`)
    return
  }
  const clean = done.every((leg) => leg.clean)
  const file = join(checkout, 'evidence', `${campaign.name}.json`)
  writeFileSync(file, `${JSON.stringify(evidence(campaign, plan, done), undefined, 2)}\n`)
  rmSync(stateFile(campaign.name), { force: true })
  console.log(`${clean ? 'clean' : 'NOT CLEAN'}: ${file}`)
  process.exitCode = clean ? 0 : 1
}

async function runLeg(
  campaign: Campaign,
  { leg, faults, messages, seed }: Pick<ServiceRun, 'faults' | 'messages' | 'seed'> & { readonly leg: number },
): Promise<Leg> {
  const folder = mkdtempSync(join(tmpdir(), 'posthorn-faults-'))
  await using service = await campaign.service(leg)
  const result = await serviceRun({
    service,
    faults,
    messages,
    seed,
    folder,
    msPerFault: campaign.msPerFault ?? 15_000,
  })
  const { check, stuck, idle, accidents, seconds } = result
  console.log(`${format(check)}\n${troubles(result).join('\n')}`)
  const clean = isClean(result)
  if (clean) rmSync(folder, { recursive: true })
  else console.error(`the ledger is kept in ${folder}`)
  const found = (allowed: boolean): Leg['findings'] =>
    Object.fromEntries(
      Object.entries(check.findings).flatMap(([name, finding]) =>
        finding.allowed === allowed ? [[name, finding.count]] : [],
      ),
    )
  return {
    leg,
    seed,
    clean,
    seconds,
    counts: check.counts,
    findings: found(false),
    allowed: found(true),
    lateness: check.lateness,
    faults: check.faults,
    stuck,
    idle,
    accidents,
  }
}

/** The same for the same seed; it does not hang on where a campaign was cut off. */
function faultSequence(kinds: readonly Fault[], seed: number, count: number): readonly Fault[] {
  const random = randomFrom(seed)
  const sequence: Fault[] = []
  while (sequence.length < count) sequence.push(...shuffled(kinds, random))
  return sequence.slice(0, count)
}

function shuffled<T>(all: readonly T[], random: () => number): readonly T[] {
  const out = [...all]
  for (let i = out.length - 1; i > 0; i--) {
    const j = Math.floor(random() * (i + 1))
    ;[out[i], out[j]] = [out[j] as T, out[i] as T]
  }
  return out
}

interface Plan {
  readonly messages: number
  readonly legs: number
  readonly faults: number
  readonly seed: number
  readonly commit: string
}

function evidence({ command, about }: Campaign, plan: Plan, legs: readonly Leg[]): unknown {
  const total: Record<string, number> = {}
  for (const { counts } of legs)
    for (const [name, count] of Object.entries(counts)) total[name] = (total[name] ?? 0) + count
  return {
    command: `${command} --messages=${plan.messages} --legs=${plan.legs} --faults=${plan.faults} --seed=${plan.seed}`,
    date: seenOn().date,
    commit: plan.commit,
    ...about,
    clean: legs.every(({ clean }) => clean),
    faults: legs.reduce((sum, leg) => sum + leg.faults.length, 0),
    seconds: Math.round(legs.reduce((sum, leg) => sum + leg.seconds, 0)),
    total,
    legs,
  }
}

const stateFile = (name: string): string => join(brokersFolder, `${name}-run.json`)

/** Legs of the same plan on the same commit; of another they prove nothing together. */
function remembered(name: string, plan: Plan): Leg[] {
  if (!existsSync(stateFile(name))) return []
  const state = JSON.parse(readFileSync(stateFile(name), 'utf8')) as { readonly plan: Plan; readonly legs: Leg[] }
  return JSON.stringify(state.plan) === JSON.stringify(plan) ? state.legs : []
}

function remember(name: string, plan: Plan, legs: readonly Leg[]): void {
  mkdirSync(brokersFolder, { recursive: true })
  writeFileSync(stateFile(name), JSON.stringify({ plan, legs }))
}
