import type { CheckResult } from './checker.ts'
import { type FindingName, findingNames } from './findings.ts'
import type { Flow } from './flow.ts'
import type { FaultReport, Percentiles } from './timing.ts'

/** The result as a table for people. */
export function format(result: CheckResult): string {
  const { counts, findings, lateness, faults } = result
  const lines = [
    `${result.ok ? 'clean' : 'NOT CLEAN'}: ${counts.attempted} sent, ${counts.acknowledged} acknowledged, ${counts.failed} failed, ` +
      `${counts.unknown} unknown, ${counts.cancelled} cancelled, ${counts.rolledBack} rolled back`,
    `${counts.deliveries} deliveries (${counts.duplicateDeliveries} again), ${counts.effects} effects, ${counts.letters} dead letters, ` +
      `${counts.torn} torn lines, ${(result.tookMs / 1_000).toFixed(1)} s`,
    '',
  ]
  for (const name of Object.keys(findingNames) as FindingName[]) {
    const { count, allowed, examples } = findings[name]
    const mark = count === 0 ? '    ok' : allowed ? 'allowed' : 'FAILED'
    lines.push(
      `${mark.padStart(7)}  ${name.padEnd(20)} ${String(count).padStart(8)}${count > 0 ? `  ${findingNames[name]}` : ''}`,
    )
    for (const { about, detail } of examples) lines.push(`${' '.repeat(10)}${about}: ${detail}`)
  }
  const late = (name: string, values: Percentiles | undefined): void => {
    if (values === undefined) return
    const { count, p50, p99, p999, max } = values
    lines.push(`lateness ${name}: ${count} messages, p50 ${ms(p50)}, p99 ${ms(p99)}, p99.9 ${ms(p999)}, max ${ms(max)}`)
  }
  lines.push('')
  late('healthy', lateness.healthy)
  late('after a fault', lateness.afterHeal)
  late('behind the last rush', lateness.afterLoad)
  for (const fault of faults)
    lines.push(
      `fault ${fault.name} at ${ms(fault.atMs)} for ${ms(fault.lastedMs)}: sends after ${ms(fault.sendsAfterMs)}, ` +
        `effects after ${ms(fault.effectsAfterMs)}, drained after ${ms(fault.drainedAfterMs)}; ${flows(fault)}`,
    )
  return lines.join('\n').trimEnd()
}

function flows({ sends, effects }: FaultReport): string {
  const told = ([what, { before, during, after, stalledMs }]: readonly [string, Flow]): string =>
    `${what} ${before}/${during}/${after}, stalled ${ms(stalledMs)}`
  return [['sends', sends] as const, ...Object.entries(effects)].map(told).join('; ')
}

function ms(value: number | string | undefined): string {
  if (typeof value === 'string') return value
  return value === undefined ? 'never' : `${Math.round(value)} ms`
}
