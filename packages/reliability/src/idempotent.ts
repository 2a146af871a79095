import {
  type ConsumeExtension,
  type Delivery,
  type Explanation,
  type HandleBatch,
  MessagingError,
  type Middleware,
  type Store,
  Unrecoverable,
  type Verdict,
} from '@posthorn/core'
import {
  arrivalOf,
  type Claims,
  callable,
  checkOptions,
  extension,
  inboxSpace,
  inboxWindowMs,
  ms,
  noteWindow,
  object,
  oneOf,
  partsOf,
  type Shape,
  type StoreParts,
  type Subscribed,
} from '@posthorn/core/driver'
import { claiming } from './claiming.ts'
import { nameRule } from './guards.ts'
import { batchInbox, inbox, type Once, ownTable } from './inbox.ts'

const tableShape = { name: nameRule, column: nameRule } satisfies Shape
const shape = {
  store: object,
  by: callable,
  windowMs: ms(1),
  mode: oneOf('transaction', 'claim'),
  whenStoreIsAway: oneOf('wait', 'run'),
  table: object,
  again: callable,
} satisfies Shape

/** How `idempotent` is set. */
export interface IdempotentOptions {
  readonly store?: Store | undefined
  /** Names the business event; default: the message's id. */
  readonly by?: ((delivery: Delivery) => string) | undefined
  readonly windowMs?: number | undefined
  readonly mode?: 'transaction' | 'claim' | undefined
  readonly whenStoreIsAway?: 'wait' | 'run' | undefined
  /**
   * A table of yours with a unique column (default `id`), which remembers for as long as you keep its rows: instead of the inbox, in the handler's
   * transaction. Of one group, or `by` names the group, too.
   */
  readonly table?: { readonly name: string; readonly column?: string | undefined } | undefined
  /** With `mode: 'claim'`: called instead of the handler for what was handled already, with what its handler gave to `ack(result)`. */
  readonly again?: ((delivery: Delivery, result: unknown) => Promise<void>) | undefined
}

/**
 * Handles a message once per group. `transaction` (where the store has them): the inbox row commits with the handler's own writes in
 * `delivery.tx`, so the effect happens exactly once. `claim`: best effort; a crash between effect and mark repeats the effect.
 */
export function idempotent(options: IdempotentOptions = {}): ConsumeExtension {
  check(options)
  const { by, windowMs = inboxWindowMs, mode, table, again, whenStoreIsAway = 'wait' } = options
  const nameOf = named(by)
  const own =
    table === undefined ? undefined : ownTable(table, by === undefined ? nameOf : (each) => nameOf(each).slice(3))
  const choice = (subscribed: Subscribed): { readonly parts: StoreParts; readonly kind: 'transaction' | 'claim' } => {
    if (by === undefined && subscribed.idsMayRepeat) throw nameless(subscribed)
    const parts = storeParts(options.store ?? subscribed.store)
    return { parts, kind: mode ?? (parts.transaction === undefined ? 'claim' : 'transaction') }
  }
  /** The row in the handler's transaction; the first one of a topic notes the window, too. */
  const rowed = (subscribed: Subscribed, parts: StoreParts) => {
    const { transaction } = parts
    if (transaction === undefined)
      throw new MessagingError(
        'unsupported',
        `idempotent({ mode: 'transaction' }): the ${parts.name} store has no transactions; use mode: 'claim', or store: 'sqlite:./data/app.db'`,
      )
    if (again !== undefined)
      throw new MessagingError(
        'invalid',
        "idempotent({ again }) goes with mode: 'claim'; in a transaction, keep the result in a table of yours by tx",
      )
    if (own !== undefined) return { transaction, once: own, note: () => undefined }
    const claims = parts.claims as Claims
    const spaceOf = spaceIn(subscribed)
    const once: Once = (each, tx) => claims.once(spaceOf(each), nameOf(each), windowMs, tx)
    return { transaction, once, note: noting(subscribed, parts, windowMs, false) }
  }
  const bind = (subscribed: Subscribed): Middleware<Delivery, Verdict> => {
    const { parts, kind } = choice(subscribed)
    // A replay handles again on purpose, in a space of its own.
    if (subscribed.replay) return (next) => next
    if (kind === 'claim') {
      const claims = parts.claims as Claims
      const settings = { claims, nameOf, spaceOf: spaceIn(subscribed), windowMs, whenAway: whenStoreIsAway, again }
      return noted(noting(subscribed, parts, windowMs, whenStoreIsAway === 'run'), claiming(subscribed, settings))
    }
    const { transaction, once, note } = rowed(subscribed, parts)
    return noted(note, inbox(transaction, once))
  }
  const bindBatch = (subscribed: Subscribed): ((next: HandleBatch<unknown>) => HandleBatch<unknown>) | undefined => {
    const { parts, kind } = choice(subscribed)
    if (subscribed.replay || kind === 'claim') return undefined
    const { transaction, once, note } = rowed(subscribed, parts)
    return (next) => {
      const handle = batchInbox(transaction, once)(next)
      return async (deliveries) => {
        for (const topic of new Set(deliveries.map((each) => each.topic))) await note(topic)
        return handle(deliveries)
      }
    }
  }
  return extension('idempotent', (next) => next, {
    rank: 10,
    bind,
    bindBatch,
    // A table of the user's own forgets when the user does.
    windowMs: own === undefined ? windowMs : Number.POSITIVE_INFINITY,
    transactional: mode !== 'claim',
    promises: (subscribed) => [promised(subscribed, choice(subscribed), windowMs, table?.name)],
  })
}

/** How a subscription's promise is met, and at which price. */
function promised(
  subscribed: Subscribed,
  { parts, kind }: { readonly parts: StoreParts; readonly kind: 'transaction' | 'claim' },
  windowMs: number,
  table: string | undefined,
): Explanation['promises'][number] {
  if (kind === 'claim')
    return {
      promise: 'idempotent',
      how: 'store',
      detail: `a claim on the ${parts.name} store, best effort: a crash between the effect and its mark repeats the effect`,
      cost: 'two round trips per message',
    }
  const where =
    table === undefined
      ? `an inbox row, remembered for ${windowMs} ms,`
      : `a row of your table ${table}, for as long as you keep it,`
  return {
    promise: 'idempotent',
    how: 'store',
    detail: `${where} in the handler's own transaction on the ${parts.name} store${parts.oneWriter === true ? '; such handlers write one at a time' : ''}`,
    cost: `one row in the commit that the handler makes anyway${subscribed.batch ? '; a batch has one commit, and where one of its messages fails each has its own' : ''}`,
  }
}

function check(options: IdempotentOptions): void {
  checkOptions('idempotent()', options, shape)
  const { mode, table, again } = options
  if (table !== undefined) checkOptions('idempotent(): table', table, tableShape, ['name'])
  if (mode === 'claim' && table !== undefined)
    throw new MessagingError(
      'invalid',
      "idempotent({ table }) notes in the handler's transaction and mode: 'claim' has none; leave one of them out",
    )
  if (mode === 'transaction' && again !== undefined)
    throw new MessagingError(
      'invalid',
      "idempotent({ again }) goes with mode: 'claim'; in a transaction, keep the result in a table of yours by tx",
    )
}

/** Where a group's inbox of a topic is. */
const spaceIn =
  ({ group }: Subscribed) =>
  (delivery: Delivery): string =>
    inboxSpace(group, delivery.topic)

/** Notes how long is remembered, once per topic; nothing to wait for afterwards. */
type Note = (topic: string) => Promise<void> | undefined

/** So that a redrive by another process knows; `anyway`: also where the store is away. */
function noting({ group }: Subscribed, { claims, clock }: StoreParts, windowMs: number, anyway: boolean): Note {
  // By topic: a pattern reads several.
  const known = new Map<string, Promise<void> | true>()
  const tell = async (topic: string): Promise<void> => {
    try {
      await noteWindow({ claims: claims as Claims, clock }, group, topic, windowMs)
      known.set(topic, true)
    } catch (error) {
      known.delete(topic)
      if (!anyway) throw error
    }
  }
  return (topic) => {
    const found = known.get(topic)
    if (found === true) return undefined
    if (found !== undefined) return found
    const telling = tell(topic)
    known.set(topic, telling)
    return telling
  }
}

/** Notes before the first message of a topic is handled. */
function noted(note: Note, inner: Middleware<Delivery, Verdict>): Middleware<Delivery, Verdict> {
  return (next) => {
    const handle = inner(next)
    return async (delivery) => {
      const waits = note(delivery.topic)
      if (waits !== undefined) await waits
      return handle(delivery)
    }
  }
}

function storeParts(store: Store | undefined): StoreParts {
  if (store === undefined || !store.keeps.claims)
    throw new MessagingError(
      'unsupported',
      "idempotent() needs a store that remembers; give connect() one, such as store: 'sqlite:./data/app.db'",
    )
  return partsOf(store)
}

/** Whoever starts on such a topic is told at once, not by each message. */
function nameless({ broker, topic, group }: Subscribed): MessagingError {
  return new MessagingError(
    'invalid',
    `idempotent() in group '${group}' of ${topic}: the topic is somebody else's and a queue of ${broker} has no positions, so two messages may share an id; add idempotent({ by }) to \`use\` and name the business event`,
  )
}

/** By the user's own word, or by the message's id where that is the same on every delivery. */
function named(by: IdempotentOptions['by']): (delivery: Delivery) => string {
  if (by !== undefined) {
    return (delivery) => {
      const name = by(delivery)
      if (typeof name === 'string' && name !== '') return `by:${name}`
      throw new MessagingError(
        'invalid',
        `idempotent({ by }) gave no text for message ${delivery.id}; answer what names the business event`,
      )
    }
  }
  return (delivery) => {
    const arrival = arrivalOf(delivery)
    if (arrival?.foreign === true && arrival.position === undefined)
      throw new Unrecoverable(
        `message ${delivery.id} may share its id with another, since it lies in somebody else's queue or came without one; say idempotent({ by }) for topic ${delivery.topic}`,
      )
    return delivery.id
  }
}
