// The set algebra of a run: what must hold for each message by itself.
import type { Fate, GroupFate } from './fates.ts'
import { never } from './fates.ts'
import type { Find } from './findings.ts'

/** What the rules go by. */
export interface RuleOptions {
  readonly clockEpsilonMs: number
  readonly expiryEpsilonMs: number
  readonly deadlineMs: number
  /** Names by number. */
  readonly groups: readonly string[]
  /** Numbers of the groups that a message must reach. */
  readonly expected: (fate: Fate) => readonly number[]
  /** When the run ended for who wrote the intent; `clean`: it said so itself. */
  readonly ending: (writer: string) => { readonly at: number; readonly clean: boolean }
  readonly endAt: number
}

/** Beyond its deadline a send may take this much longer to settle. */
const graceMs = 1_000

/** Judges one message. */
export function judge(fate: Fate, options: RuleOptions, find: Find): void {
  const { id, intent } = fate
  if (intent === undefined) {
    find('phantom', id, () => `${whatHappened(fate, options)}, and no intent was written`)
    return
  }
  judgeSend(fate, options, find)
  const delivered = fate.groups.some((group) => group !== undefined && (group.deliveries > 0 || group.effects > 0))
  if (delivered) {
    const seen = (): string => whatHappened(fate, options)
    if (fate.cancelled) find('cancelled-delivered', id, seen)
    if (fate.rolledBack) find('rolled-back-visible', id, seen)
    if (fate.failed && !fate.ok && !fate.unknown && !fate.rolledBack) find('failed-delivered', id, seen)
  }
  const wrong = intent.letter === undefined ? undefined : fate.letters?.find((reason) => reason !== intent.letter)
  if (wrong !== undefined) find('wrong-letter', id, () => `${wrong}, and it should be ${intent.letter}`)
  const expected = options.expected(fate)
  fate.groups.forEach((group, number) => {
    if (group !== undefined) judgeGroup(fate, group, number, expected.includes(number), options, find)
  })
  if (!fate.ok || fate.cancelled || fate.cancelUnknown || fate.rolledBack) return
  for (const number of expected) judgeArrival(fate, fate.groups[number], number, options, find)
}

function judgeSend(fate: Fate, options: RuleOptions, find: Find): void {
  const deadline = fate.intent?.deadlineMs ?? options.deadlineMs
  if (fate.tookMs > deadline + graceMs)
    find('pending', fate.id, () => `it settled after ${round(fate.tookMs)} ms, its deadline was ${deadline} ms`)
  if (!fate.open) return
  const { at, clean } = options.ending(fate.writer)
  if (clean || at - fate.sentAt > deadline + graceMs)
    find(
      'pending',
      fate.id,
      () => `it never settled, ${round(at - fate.sentAt)} ms until the end, its deadline was ${deadline} ms`,
    )
}

function judgeGroup(
  fate: Fate,
  group: GroupFate,
  number: number,
  meant: boolean,
  options: RuleOptions,
  find: Find,
): void {
  const { id, intent, due } = fate
  const name = options.groups[number]
  if (!meant && (group.deliveries > 0 || group.effects > 0))
    find('misrouted', id, () => `group ${name} got it, and it was not meant for it`)
  const elsewhere = unlike(intent?.topic, group.topic, group.otherTopic)
  if (elsewhere !== undefined)
    find('misrouted', id, () => `sent to ${intent?.topic}, delivered on ${elsewhere} in group ${name}`)
  // Where no hash of the intent is known, two deliveries must at least be alike.
  const other = unlike(intent?.hash ?? group.hash, group.hash, group.otherHash)
  if (other !== undefined)
    find('corrupted', id, () => `sent with hash ${intent?.hash}, came with ${other} in group ${name}`)
  if (due !== undefined && group.firstDelivery < due - options.clockEpsilonMs)
    find('early', id, () => `${round(due - group.firstDelivery)} ms too early in group ${name}`)
  const { expires } = intent ?? {}
  if (expires !== undefined && group.lastDelivery > expires + options.expiryEpsilonMs)
    find('expired-delivered', id, () => `${round(group.lastDelivery - expires)} ms after it expired, in group ${name}`)
  if (group.effects > 1) find('duplicate-effect', id, () => `${group.effects} effects in group ${name}`)
  const done = Math.min(group.firstEffect, group.lettered, fate.lettered)
  const lapsed = expires !== undefined && group.acked >= expires
  if (group.acked < never && done > group.acked && !lapsed)
    find('acked-early', id, () =>
      done === never
        ? `acknowledged in group ${name} without effect or dead letter`
        : `acknowledged ${round(done - group.acked)} ms before in group ${name}`,
    )
}

/** An acknowledged message must have come through to this group. */
function judgeArrival(
  fate: Fate,
  group: GroupFate | undefined,
  number: number,
  options: RuleOptions,
  find: Find,
): void {
  if (fate.lettered < never || (group !== undefined && (group.lettered < never || group.effects > 0))) return
  const expires = fate.intent?.expires
  if (expires !== undefined && (fate.expiredLetter || expires <= options.endAt)) return
  const name = options.groups[number]
  if (group === undefined || group.deliveries === 0)
    find('lost', fate.id, () => `acknowledged on ${fate.intent?.topic}, never seen in group ${name}`)
  else find('effect-missing', fate.id, () => `delivered ${group.deliveries} times to group ${name}`)
}

function whatHappened(fate: Fate, { groups }: RuleOptions): string {
  const parts = fate.groups.flatMap((group, number) =>
    group === undefined
      ? []
      : [
          `group ${groups[number]}: ${group.deliveries} deliveries, ${group.effects} effects${group.lettered < never ? ', a dead letter' : ''}`,
        ],
  )
  if (fate.lettered < never) parts.push('a dead letter of no group')
  return parts.length === 0 ? 'an outcome was told' : parts.join('; ')
}

/** The first of those seen that is not as it was sent. */
function unlike(sent: string | undefined, ...seen: readonly (string | undefined)[]): string | undefined {
  return sent === undefined ? undefined : seen.find((each) => each !== undefined && each !== sent)
}

function round(ms: number): number {
  return Math.round(ms * 10) / 10
}
