import type { Entry, Intent } from './entries.ts'

/** No time yet. */
export const never = Number.POSITIVE_INFINITY

/** What became of a message in one group. */
export interface GroupFate {
  deliveries: number
  firstDelivery: number
  lastDelivery: number
  effects: number
  firstEffect: number
  acked: number
  lettered: number
  hash: string | undefined
  topic: string | undefined
  /** Of a later delivery, where it is not that of the first. */
  otherHash: string | undefined
  otherTopic: string | undefined
}

/** What became of a message. Lines of several files come in any order, so nothing is judged before all are read. */
export interface Fate {
  readonly id: string
  intent: Intent | undefined
  writer: string
  /** Of the last intent. */
  sentAt: number
  due: number | undefined
  dueSaidAt: number
  /** Outcomes that were ever told. */
  ok: boolean
  okAt: number
  failed: boolean
  unknown: boolean
  cancelled: boolean
  cancelUnknown: boolean
  rolledBack: boolean
  /** The send has not settled. */
  open: boolean
  /** Longest that a send of it took to settle. */
  tookMs: number
  expiredLetter: boolean
  /** Why it became a dead letter, each reason once. */
  letters: string[] | undefined
  /** Dead letter of no group: of all. */
  lettered: number
  /** By the number of the group. */
  readonly groups: (GroupFate | undefined)[]
}

/** The fates of all messages, and the groups by number. */
export interface Fates {
  readonly byId: ReadonlyMap<string, Fate>
  readonly groups: readonly string[]
  /** Takes the entries that name a message. */
  add(entry: Entry & { readonly id: string }, writer: string): void
  groupNumber(name: string): number
}

/** No fates yet. */
export function collectFates(): Fates {
  const byId = new Map<string, Fate>()
  const groups: string[] = []
  const numbers = new Map<string, number>()
  const fateOf = (id: string): Fate => {
    let fate = byId.get(id)
    if (fate === undefined) {
      fate = newFate(id)
      byId.set(id, fate)
    }
    return fate
  }
  const groupNumber = (name: string): number => {
    let number = numbers.get(name)
    if (number === undefined) {
      number = groups.push(name) - 1
      numbers.set(name, number)
    }
    return number
  }
  const inGroup = (fate: Fate, name: string): GroupFate => {
    const number = groupNumber(name)
    fate.groups[number] ??= newGroupFate()
    return fate.groups[number]
  }
  return {
    byId,
    groups,
    groupNumber,
    add(entry, writer) {
      const fate = fateOf(entry.id)
      if (entry.e === 'intent') addIntent(fate, entry, writer)
      else if (entry.e === 'outcome') addOutcome(fate, entry)
      else if (entry.e === 'delivery') addDelivery(inGroup(fate, entry.group), entry)
      else if (entry.e === 'effect') {
        const group = inGroup(fate, entry.group)
        group.effects++
        if (entry.t < group.firstEffect) group.firstEffect = entry.t
      } else if (entry.e === 'ack') {
        const group = inGroup(fate, entry.group)
        group.acked = Math.min(group.acked, entry.t)
      } else if (entry.e === 'letter')
        addLetter(fate, entry, entry.group === undefined ? fate : inGroup(fate, entry.group))
      else if (entry.e === 'due' && entry.t >= fate.dueSaidAt) {
        fate.due = entry.due
        fate.dueSaidAt = entry.t
      }
    },
  }
}

type Of<E extends Entry['e']> = Extract<Entry, { readonly e: E }>

function addIntent(fate: Fate, entry: Of<'intent'>, writer: string): void {
  fate.intent ??= entry
  fate.writer = writer
  fate.sentAt = entry.t
  fate.open = true
  if (entry.due !== undefined && entry.t >= fate.dueSaidAt) {
    fate.due = entry.due
    fate.dueSaidAt = entry.t
  }
}

function addOutcome(fate: Fate, { as, t }: Of<'outcome'>): void {
  if (as === 'cancelled') fate.cancelled = true
  else if (as === 'cancel-unknown') fate.cancelUnknown = true
  else {
    if (as === 'ok') {
      fate.ok = true
      if (t < fate.okAt) fate.okAt = t
    } else if (as === 'failed') fate.failed = true
    else if (as === 'unknown') fate.unknown = true
    else fate.rolledBack = true
    fate.open = false
    fate.tookMs = Math.max(fate.tookMs, t - fate.sentAt)
  }
}

function addDelivery(group: GroupFate, { t, hash, topic }: Of<'delivery'>): void {
  group.deliveries++
  group.hash ??= hash
  group.topic ??= topic
  if (hash !== undefined && hash !== group.hash) group.otherHash ??= hash
  if (topic !== undefined && topic !== group.topic) group.otherTopic ??= topic
  if (t < group.firstDelivery) group.firstDelivery = t
  if (t > group.lastDelivery) group.lastDelivery = t
}

function addLetter(fate: Fate, { t, reason }: Of<'letter'>, on: { lettered: number }): void {
  on.lettered = Math.min(on.lettered, t)
  if (reason === 'expired') fate.expiredLetter = true
  fate.letters ??= []
  if (!fate.letters.includes(reason)) fate.letters.push(reason)
}

function newFate(id: string): Fate {
  return {
    id,
    intent: undefined,
    writer: '',
    sentAt: 0,
    due: undefined,
    dueSaidAt: -never,
    ok: false,
    okAt: never,
    failed: false,
    unknown: false,
    cancelled: false,
    cancelUnknown: false,
    rolledBack: false,
    open: false,
    tookMs: 0,
    expiredLetter: false,
    letters: undefined,
    lettered: never,
    groups: [],
  }
}

function newGroupFate(): GroupFate {
  return {
    deliveries: 0,
    firstDelivery: never,
    lastDelivery: -never,
    effects: 0,
    firstEffect: never,
    acked: never,
    lettered: never,
    hash: undefined,
    topic: undefined,
    otherHash: undefined,
    otherTopic: undefined,
  }
}
