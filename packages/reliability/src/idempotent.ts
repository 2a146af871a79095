import {
  type ConsumeExtension,
  type Delivery,
  MessagingError,
  type Middleware,
  type Store,
  type Verdict,
} from '@posthorn/core'
import {
  arrivalOf,
  type Claims,
  extension,
  inboxSpace,
  inboxWindowMs,
  noteWindow,
  partsOf,
  type StoreParts,
  type Subscribed,
} from '@posthorn/core/driver'
import { claiming } from './claiming.ts'
import { inbox, ownTable } from './inbox.ts'

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
  const { by, windowMs = inboxWindowMs, mode, table, again, whenStoreIsAway = 'wait' } = options
  check(options, windowMs)
  const nameOf = named(by)
  const own =
    table === undefined ? undefined : ownTable(table, by === undefined ? nameOf : (each) => nameOf(each).slice(3))
  const choice = (subscribed: Subscribed): { readonly parts: StoreParts; readonly kind: 'transaction' | 'claim' } => {
    const parts = storeParts(options.store ?? subscribed.store)
    return { parts, kind: mode ?? (parts.transaction === undefined ? 'claim' : 'transaction') }
  }
  const bind = (subscribed: Subscribed): Middleware<Delivery, Verdict> => {
    const { parts, kind } = choice(subscribed)
    const { transaction } = parts
    const claims = parts.claims as Claims
    const spaceOf = (delivery: Delivery): string => inboxSpace(subscribed.group, delivery.topic)
    // A replay handles again on purpose, in a space of its own.
    if (subscribed.replay) return (next) => next
    if (kind === 'claim') {
      const settings = { claims, nameOf, spaceOf, windowMs, whenAway: whenStoreIsAway, again }
      return noting(subscribed, parts, windowMs, claiming(subscribed, settings), whenStoreIsAway === 'run')
    }
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
    if (own !== undefined) return inbox(transaction, own)
    const once = inbox(transaction, (each, tx) => claims.once(spaceOf(each), nameOf(each), windowMs, tx))
    return noting(subscribed, parts, windowMs, once, false)
  }
  return extension('idempotent', (next) => next, {
    rank: 10,
    bind,
    // A table of the user's own forgets when the user does.
    windowMs: own === undefined ? windowMs : Number.POSITIVE_INFINITY,
    transactional: mode !== 'claim',
    promises(subscribed) {
      const { parts, kind } = choice(subscribed)
      if (kind === 'claim')
        return [
          {
            promise: 'idempotent',
            how: 'store',
            detail: `a claim on the ${parts.name} store, best effort: a crash between the effect and its mark repeats the effect`,
            cost: 'two round trips per message',
          },
        ]
      const where =
        table === undefined
          ? `an inbox row, remembered for ${windowMs} ms,`
          : `a row of your table ${table.name}, for as long as you keep it,`
      return [
        {
          promise: 'idempotent',
          how: 'store',
          detail: `${where} in the handler's own transaction on the ${parts.name} store${parts.oneWriter === true ? '; such handlers write one at a time' : ''}`,
          cost: `one row in the commit that the handler makes anyway${subscribed.batch ? '; each message of a batch has a transaction of its own, so where one writes at a time a batch has one message' : ''}`,
        },
      ]
    },
  })
}

function check({ mode, table, again }: IdempotentOptions, windowMs: number): void {
  if (!(Number.isFinite(windowMs) && windowMs > 0))
    throw new MessagingError('invalid', `idempotent({ windowMs }) is ${windowMs}; give ms above 0`)
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

/** Notes before the first message how long is remembered, so that a redrive by another process knows; `anyway`: also where the store is away. */
function noting(
  { group }: Subscribed,
  { claims, clock }: StoreParts,
  windowMs: number,
  inner: Middleware<Delivery, Verdict>,
  anyway: boolean,
): Middleware<Delivery, Verdict> {
  // By topic: a pattern reads several.
  const noted = new Map<string, Promise<void> | true>()
  const tell = async (topic: string): Promise<void> => {
    try {
      await noteWindow({ claims: claims as Claims, clock }, group, topic, windowMs)
      noted.set(topic, true)
    } catch (error) {
      noted.delete(topic)
      if (!anyway) throw error
    }
  }
  const telling = (topic: string): Promise<void> => {
    const made = tell(topic)
    noted.set(topic, made)
    return made
  }
  return (next) => {
    const handle = inner(next)
    return async (delivery) => {
      const { topic } = delivery
      const known = noted.get(topic)
      if (known !== true) await (known ?? telling(topic))
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
      throw new MessagingError(
        'invalid',
        `message ${delivery.id} comes from a stranger and has no position, so its id may repeat; say idempotent({ by })`,
      )
    return delivery.id
  }
}
