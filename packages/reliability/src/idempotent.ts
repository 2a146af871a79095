import {
  ack,
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
  newId,
  partsOf,
  pause,
  type StoreParts,
  type Subscribed,
} from '@posthorn/core/driver'

/** How `idempotent` is set. */
export interface IdempotentOptions {
  readonly store?: Store | undefined
  readonly by?: ((delivery: Delivery) => string) | undefined
  readonly windowMs?: number | undefined
  readonly mode?: 'transaction' | 'claim' | undefined
  readonly whenStoreIsAway?: 'wait' | 'run' | undefined
}

/** How long a claim is held without a sign of life; renewed at a third of it. */
const claimMs = 30_000

/**
 * Handles a message once per group. `transaction` (where the store has them): the inbox row commits with the handler's own writes in
 * `delivery.tx`, so the effect happens exactly once. `claim`: best effort; a crash between effect and mark repeats the effect.
 */
export function idempotent(options: IdempotentOptions = {}): ConsumeExtension {
  const { by, windowMs = inboxWindowMs, mode } = options
  if (!(Number.isFinite(windowMs) && windowMs > 0))
    throw new MessagingError('invalid', `idempotent({ windowMs }) is ${windowMs}; give ms above 0`)
  const bind = (subscribed: Subscribed): Middleware<Delivery, Verdict> => {
    const parts = storeParts(options.store ?? subscribed.store)
    const kind = mode ?? (parts.transaction === undefined ? 'claim' : 'transaction')
    const claims = parts.claims as Claims
    const nameOf = named(by)
    const spaceOf = (delivery: Delivery): string => inboxSpace(subscribed.group, delivery.topic)
    // A replay handles again on purpose, in a space of its own.
    if (subscribed.replay) return (next) => next
    if (kind === 'claim')
      return claiming(subscribed, claims, nameOf, spaceOf, windowMs, options.whenStoreIsAway ?? 'wait')
    if (parts.transaction === undefined)
      throw new MessagingError(
        'unsupported',
        `idempotent({ mode: 'transaction' }): the ${parts.name} store has no transactions; use mode: 'claim', or store: 'sqlite:./data/app.db'`,
      )
    const { transaction } = parts
    return (next) => async (delivery) => {
      let turned: Verdict | undefined
      try {
        return await transaction(async (tx) => {
          if (!(await claims.once(spaceOf(delivery), nameOf(delivery), windowMs, tx))) return ack()
          const verdict = await next(withTx(delivery, tx))
          if (verdict.verdict === 'ack') return verdict
          turned = verdict
          throw notAcknowledged
        })
      } catch (error) {
        // Rolled back with the inbox row: only an acknowledgement commits.
        if (error === notAcknowledged && turned !== undefined) return turned
        throw error
      }
    }
  }
  return extension('idempotent', (next) => next, {
    rank: 10,
    bind,
    windowMs,
    transactional: mode !== 'claim',
    promises: (subscribed) => {
      const parts = storeParts(options.store ?? subscribed.store)
      const once = (mode ?? (parts.transaction === undefined ? 'claim' : 'transaction')) === 'transaction'
      const detail = once
        ? `an inbox row in the handler's own transaction on the ${parts.name} store, remembered for ${windowMs} ms; such handlers write one at a time on SQLite`
        : `a claim on the ${parts.name} store, best effort: a crash between the effect and its mark repeats the effect`
      return [
        {
          promise: 'idempotent',
          how: 'store',
          detail,
          cost: once ? 'one row in the commit that the handler makes anyway' : 'two round trips per message',
        },
      ]
    },
  })
}

const notAcknowledged = new Error('the handler did not acknowledge: rolled back')

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

/** The same delivery with a transaction; what is made on demand stays so. */
function withTx(delivery: Delivery, tx: Delivery['tx']): Delivery {
  return Object.defineProperties({} as Delivery, {
    ...Object.getOwnPropertyDescriptors(delivery),
    tx: { value: tx, enumerable: true },
  })
}

function claiming(
  { clock }: Subscribed,
  claims: Claims,
  nameOf: (delivery: Delivery) => string,
  spaceOf: (delivery: Delivery) => string,
  windowMs: number,
  whenAway: 'wait' | 'run',
): Middleware<Delivery, Verdict> {
  return (next) => async (delivery) => {
    const [space, name] = [spaceOf(delivery), nameOf(delivery)]
    const token = await take(space, name, delivery)
    if (token === 'done') return ack()
    if (token === 'away') return next(delivery)
    let cancel = (): void => {}
    const renew = (): void => {
      cancel = clock.after(
        claimMs / 3,
        () => void claims.renew(space, name, token, claimMs).then((ours) => ours && renew(), renew),
        { unref: true },
      )
    }
    renew()
    try {
      const verdict = await next(
        Object.defineProperties({} as Delivery, {
          ...Object.getOwnPropertyDescriptors(delivery),
          fence: { value: BigInt(token), enumerable: true },
        }),
      )
      if (verdict.verdict === 'ack') await claims.finish(space, name, token, undefined, windowMs)
      else await claims.release(space, name, token)
      return verdict
    } catch (error) {
      await claims.release(space, name, token).catch(() => false)
      throw error
    } finally {
      cancel()
    }
  }

  async function take(space: string, name: string, delivery: Delivery): Promise<number | 'done' | 'away'> {
    const owner = newId(clock.now())
    for (;;) {
      try {
        const claim = await claims.acquire(space, name, owner, claimMs)
        if (claim.status === 'fresh') return claim.token
        if (claim.status === 'done') return 'done'
        // Another has it in hand: its outcome decides.
        if (!(await pause(clock, Math.min(claim.untilMs, 500), delivery.signal)))
          throw new MessagingError('aborted', `message ${delivery.id} is in another's hands`)
      } catch (error) {
        if (whenAway === 'run' && !(error instanceof MessagingError && error.code === 'aborted')) return 'away'
        throw error
      }
    }
  }
}
