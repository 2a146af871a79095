/** What a checker can find, each in one sentence. */
export const findingNames = {
  lost: 'acknowledged to the sender, and neither delivered to the group nor a dead letter of it',
  'effect-missing': 'acknowledged and delivered, and neither took effect nor became a dead letter',
  phantom: 'delivered, handled or a dead letter, and never sent',
  'failed-delivered': 'said to be definitely not sent, and delivered',
  'rolled-back-visible': 'rolled back, and delivered',
  'cancelled-delivered': 'said to be cancelled, and delivered',
  'expired-delivered': 'delivered after it had expired',
  corrupted: 'content other than what was sent',
  misrouted: 'delivered to a group or on a topic that it was not meant for',
  'duplicate-effect': 'took effect more than once in a group',
  order: 'took effect after a later one of its key',
  'wrong-letter': 'became a dead letter for another reason than it had to, or though it had none',
  early: 'delivered before it was due',
  'acked-early': 'acknowledged to the broker before its effect or dead letter',
  pending: 'a send that settled too late or never',
  rejection: 'a rejection or an exception that nobody handled',
  backlog: 'something was left on the broker after the drain',
  close: 'closing took too long or left handles open',
  late: 'delivered later than the limit allows',
  recovery: 'sending or draining took longer after a fault than the limit allows',
  duplicates: 'more duplicate deliveries than the limit allows',
} as const

/** A kind of finding. */
export type FindingName = keyof typeof findingNames

/** One case of a finding. */
export interface Example {
  /** Of the message; a fault's or a group's name where no message is meant. */
  readonly about: string
  readonly detail: string
}

/** How often, and the first few. */
export interface Finding {
  readonly count: number
  /** Reported, and no reason to fail. */
  readonly allowed: boolean
  readonly examples: readonly Example[]
}

/** All kinds with their cases, those without included. */
export type Findings = Readonly<Record<FindingName, Finding>>

/** Adds a case; `detail` is asked only while examples are still kept. */
export type Find = (name: FindingName, about: string, detail: () => string) => void

/** Counts cases and keeps the first `most` of each kind. */
export function collectFindings(allow: readonly FindingName[], most = 10): { find: Find; findings: Findings } {
  const open = {} as Record<FindingName, { count: number; allowed: boolean; examples: Example[] }>
  for (const name of Object.keys(findingNames) as FindingName[])
    open[name] = { count: 0, allowed: allow.includes(name), examples: [] }
  return {
    find(name, about, detail) {
      const one = open[name]
      one.count++
      if (one.examples.length < most) one.examples.push({ about, detail: detail() })
    },
    findings: open,
  }
}
