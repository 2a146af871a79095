// Seeded damage to a clean history: each is one defect of a broker or an adapter as a ledger would show it.
import type { Entry } from './entries.ts'
import type { FindingName } from './findings.ts'

/** One kind of damage. */
export interface Mutation {
  readonly name: string
  /** What the checker must say. */
  readonly finds: FindingName
  /** Damages the history at a place that `random` picks; undefined: it has no such place. */
  readonly apply: (history: readonly Entry[], random: () => number) => Entry[] | undefined
}

type Of<E extends Entry['e']> = Extract<Entry, { readonly e: E }>

const is =
  <E extends Entry['e']>(e: E) =>
  (entry: Entry): entry is Of<E> =>
    entry.e === e
const pick = <T>(from: readonly T[], random: () => number): T | undefined => from[Math.floor(random() * from.length)]
const idOf = (entry: Entry): string | undefined => ('id' in entry ? entry.id : undefined)
const groupOf = (entry: Entry): string | undefined => ('group' in entry ? entry.group : undefined)
const sorted = (entries: Entry[]): Entry[] => entries.sort((a, b) => a.t - b.t)

/** What the sender was told of each message. */
function told(history: readonly Entry[], as: string): Of<'outcome'>[] {
  return history.filter(is('outcome')).filter((entry) => entry.as === as)
}

/** Replaces one entry; undefined takes it out. */
function swap(history: readonly Entry[], old: Entry, by: Entry | undefined): Entry[] {
  return sorted(history.flatMap((entry) => (entry === old ? (by ?? []) : entry)))
}

function without(history: readonly Entry[], drop: (entry: Entry) => boolean): Entry[] {
  return history.filter((entry) => !drop(entry))
}

/** Picks an entry of a kind that fits and changes the history by it. */
function at<E extends Entry['e']>(
  e: E,
  change: (history: readonly Entry[], entry: Of<E>) => Entry[],
  fits: (entry: Of<E>, history: readonly Entry[]) => boolean = () => true,
): Mutation['apply'] {
  return (history, random) => {
    const entry = pick(
      history.filter(is(e)).filter((each) => fits(each, history)),
      random,
    )
    return entry === undefined ? undefined : change(history, entry)
  }
}

/** Effects of messages that were acknowledged. */
function effectsOfAcknowledged(history: readonly Entry[]): Of<'effect'>[] {
  const ok = new Set(told(history, 'ok').map((entry) => entry.id))
  return history.filter(is('effect')).filter((entry) => ok.has(entry.id))
}

/** Takes all that one group saw of some messages. */
function lose(count: number): Mutation['apply'] {
  return (history, random) => {
    const effects = effectsOfAcknowledged(history)
    const first = effects[Math.floor(random() * Math.max(0, effects.length - count + 1))]
    if (first === undefined) return undefined
    const start = effects.indexOf(first)
    const gone = new Set(effects.slice(start, start + count).map(({ id, group }) => `${id}/${group}`))
    return without(history, (entry) => gone.has(`${idOf(entry)}/${groupOf(entry)}`))
  }
}

/** Two messages of a key exchange the times of their effects. */
const swapTwo: Mutation['apply'] = (history, random) => {
  const lanes = new Map<string, Of<'effect'>[]>()
  const intents = new Map(history.filter(is('intent')).map((entry) => [entry.id, entry]))
  for (const effect of effectsOfAcknowledged(history)) {
    const intent = intents.get(effect.id)
    if (intent === undefined || intent.due !== undefined) continue
    const lane = `${intent.key}/${effect.group}`
    lanes.set(lane, [...(lanes.get(lane) ?? []), effect])
  }
  const lane = pick(
    [...lanes.values()].filter((each) => each.length > 1),
    random,
  )
  if (lane === undefined) return undefined
  const place = Math.floor(random() * (lane.length - 1))
  const [one, two] = [lane[place], lane[place + 1]] as [Of<'effect'>, Of<'effect'>]
  const times = new Map<Entry, number>([
    [one, two.t],
    [two, one.t],
  ])
  return sorted(history.map((entry) => ({ ...entry, t: times.get(entry) ?? entry.t })))
}

/** The sender is told, and a consumer gets it nevertheless. */
function deliveredThough(as: string): Mutation['apply'] {
  return (history, random) => {
    const outcome = pick(told(history, as), random)
    const group = pick(history.filter(is('backlog')), random)?.group
    if (outcome === undefined || group === undefined) return undefined
    return sorted([...history, { e: 'delivery', t: outcome.t + 1_000, id: outcome.id, group }])
  }
}

const early = (ms: number): Mutation['apply'] =>
  at(
    'delivery',
    (history, entry) => {
      const due = history.filter(is('intent')).find(({ id }) => id === entry.id)?.due ?? 0
      return swap(history, entry, { ...entry, t: due - ms })
    },
    (entry, history) => history.some((each) => each.e === 'intent' && each.id === entry.id && each.due !== undefined),
  )

const outcomeOf =
  (change: (entry: Of<'outcome'>) => Entry | undefined, as = 'ok'): Mutation['apply'] =>
  (history, random) => {
    const entry = pick(told(history, as), random)
    return entry === undefined ? undefined : swap(history, entry, change(entry))
  }

const firstDeliveryOf = (history: readonly Entry[], effect: Of<'effect'>): number =>
  history.find((entry) => entry.e === 'delivery' && entry.id === effect.id && entry.group === effect.group)?.t ?? 0

const undelivered = (history: readonly Entry[]): Of<'outcome'>[] => {
  const seen = new Set(history.filter(is('delivery')).map((entry) => entry.id))
  return told(history, 'unknown').filter((entry) => !seen.has(entry.id))
}

/** All of them; each must be found in every history that has a place for it. */
export const mutations: readonly Mutation[] = [
  { name: 'lose one', finds: 'lost', apply: lose(1) },
  { name: 'lose five in a row, as a restart does', finds: 'lost', apply: lose(5) },
  {
    name: 'a whole group gets nothing',
    finds: 'lost',
    apply: at('backlog', (history, { group }) =>
      without(history, (entry) => entry.e !== 'backlog' && groupOf(entry) === group),
    ),
  },
  {
    name: 'tell ok of what the broker never held',
    finds: 'lost',
    apply: (history, random) => {
      const entry = pick(undelivered(history), random)
      return entry === undefined ? undefined : swap(history, entry, { ...entry, as: 'ok' })
    },
  },
  {
    name: 'acknowledge without effect',
    finds: 'effect-missing',
    apply: (history, random) => {
      const effect = pick(effectsOfAcknowledged(history), random)
      return effect === undefined ? undefined : without(history, (entry) => entry === effect)
    },
  },
  {
    name: 'drop a dead letter',
    finds: 'effect-missing',
    apply: at(
      'letter',
      (history, entry) => without(history, (each) => each === entry),
      (entry) => entry.group !== undefined,
    ),
  },
  {
    name: 'drop a dead letter of no group',
    finds: 'lost',
    apply: at(
      'letter',
      (history, entry) => without(history, (each) => each === entry),
      (entry) => entry.group === undefined,
    ),
  },
  {
    name: 'deliver what nobody sent',
    finds: 'phantom',
    apply: at('delivery', (history, entry) => sorted([...history, { ...entry, id: 'stranger' }])),
  },
  {
    name: 'dead-letter what nobody sent',
    finds: 'phantom',
    apply: at('letter', (history, entry) => sorted([...history, { ...entry, id: 'stranger' }])),
  },
  { name: 'deliver what failed', finds: 'failed-delivered', apply: deliveredThough('failed') },
  {
    name: 'tell failed of what is held',
    finds: 'failed-delivered',
    apply: (history, random) => {
      const effect = pick(effectsOfAcknowledged(history), random)
      const entry = history.find((each) => each.e === 'outcome' && each.id === effect?.id)
      return entry === undefined ? undefined : swap(history, entry, { ...(entry as Of<'outcome'>), as: 'failed' })
    },
  },
  { name: 'show what was rolled back', finds: 'rolled-back-visible', apply: deliveredThough('rolled-back') },
  { name: 'deliver what was cancelled', finds: 'cancelled-delivered', apply: deliveredThough('cancelled') },
  {
    name: 'deliver what has expired',
    finds: 'expired-delivered',
    apply: (history, random) => {
      const intent = pick(
        history.filter(is('intent')).filter((entry) => entry.expires !== undefined),
        random,
      )
      const group = pick(history.filter(is('backlog')), random)?.group
      if (intent?.expires === undefined || group === undefined) return undefined
      return sorted([...history, { e: 'delivery', t: intent.expires + 300, id: intent.id, group }])
    },
  },
  {
    name: 'corrupt a body',
    finds: 'corrupted',
    apply: at('delivery', (history, entry) => swap(history, entry, { ...entry, hash: 'other' })),
  },
  {
    name: 'corrupt a second delivery',
    finds: 'corrupted',
    apply: at('delivery', (history, entry) => sorted([...history, { ...entry, t: entry.t + 1, hash: 'other' }])),
  },
  {
    name: 'deliver on another topic',
    finds: 'misrouted',
    apply: at('delivery', (history, entry) => swap(history, entry, { ...entry, topic: 'payments' })),
  },
  {
    name: 'deliver to a group that filters it out',
    finds: 'misrouted',
    apply: at('delivery', (history, entry) => sorted([...history, { ...entry, group: 'audit', t: entry.t + 1 }])),
  },
  {
    name: 'double an effect',
    finds: 'duplicate-effect',
    apply: at('effect', (history, entry) => sorted([...history, { ...entry, t: entry.t + 5 }])),
  },
  {
    name: 'a dead letter for another reason',
    finds: 'wrong-letter',
    apply: at('letter', (history, entry) => swap(history, entry, { ...entry, reason: 'undecodable' })),
  },
  { name: 'swap two of a key', finds: 'order', apply: swapTwo },
  { name: 'deliver 50 ms early', finds: 'early', apply: early(50) },
  { name: 'deliver 6 ms early', finds: 'early', apply: early(6) },
  {
    name: 'settle before the handler',
    finds: 'acked-early',
    apply: (history, random) => {
      const effect = pick(history.filter(is('effect')), random)
      const ack = history.find((entry) => entry.e === 'ack' && entry.id === effect?.id && entry.group === effect?.group)
      if (effect === undefined || ack === undefined) return undefined
      return swap(history, ack, { ...ack, t: firstDeliveryOf(history, effect) })
    },
  },
  { name: 'a send that never settles', finds: 'pending', apply: outcomeOf(() => undefined) },
  {
    name: 'a send that settles after its deadline',
    finds: 'pending',
    apply: outcomeOf((entry) => ({ ...entry, t: entry.t + 11_001 })),
  },
  {
    name: 'a rejection that nobody handles',
    finds: 'rejection',
    apply: (history) => [...history, { e: 'rejection', t: history.at(-1)?.t ?? 0, error: 'Error: nobody' }],
  },
  {
    name: 'leave something on the broker',
    finds: 'backlog',
    apply: at('backlog', (history, entry) => swap(history, entry, { ...entry, count: 1 })),
  },
  {
    name: 'leak a handle',
    finds: 'close',
    apply: at('end', (history, entry) => swap(history, entry, { ...entry, handles: 1 })),
  },
  {
    name: 'close slowly',
    finds: 'close',
    apply: at('end', (history, entry) => swap(history, entry, { ...entry, closeMs: 10_001 })),
  },
]
