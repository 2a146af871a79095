import { ack, type Delivery, type Events, MessagingError, type Middleware, type Verdict } from '@posthorn/core'
import { type Claims, deliveryWith, newId, pause, renewing, type Subscribed } from '@posthorn/core/driver'

/** How long a claim is held without a sign of life. */
const claimMs = 30_000
/** Longest between two looks whether another's claim has ended. */
const lookMs = 500
/** Largest result that is kept, in characters of JSON. */
const mostResult = 65_536

type Why = Events['exposed']['why']

/** What claiming is told. */
export interface Claiming {
  readonly claims: Claims
  readonly spaceOf: (delivery: Delivery) => string
  readonly nameOf: (delivery: Delivery) => string
  readonly windowMs: number
  readonly whenAway: 'wait' | 'run'
  readonly again: ((delivery: Delivery, result: unknown) => Promise<void>) | undefined
}

type Taken =
  | { readonly status: 'fresh'; readonly token: number }
  | { readonly status: 'done'; readonly result: string | undefined }
  | { readonly status: 'away' }

/** Handles under a claim: best effort, since the effect and its mark are two steps. */
export function claiming({ clock, group, emit }: Subscribed, given: Claiming): Middleware<Delivery, Verdict> {
  const { claims, spaceOf, nameOf, windowMs, whenAway, again } = given
  const exposed = ({ id, topic }: Delivery, why: Why): void => emit('exposed', { id, topic, group, why })

  return (next) => async (delivery) => {
    const [space, name] = [spaceOf(delivery), nameOf(delivery)]
    const taken = await take(space, name, delivery)
    if (taken.status === 'done') {
      const result: unknown = taken.result === undefined ? undefined : JSON.parse(taken.result)
      await again?.(delivery, result)
      return ack(result)
    }
    if (taken.status === 'away') {
      exposed(delivery, 'store away')
      return next(delivery)
    }
    const { token } = taken
    const lost = new AbortController()
    const stop = renewing(claims, clock, { space, name, token }, claimMs, () => {
      lost.abort(new MessagingError('stale', `the claim on message ${delivery.id} was lost to another`))
      exposed(delivery, 'claim lost')
    })
    let verdict: Verdict
    try {
      verdict = await next(deliveryWith(delivery, { fence: BigInt(token), signal: lost.signal }))
    } catch (error) {
      stop()
      await claims.release(space, name, token).catch(() => false)
      throw error
    }
    stop()
    if (verdict.verdict === 'ack') await done(space, name, token, verdict.result, delivery)
    else await claims.release(space, name, token).catch(() => false)
    return verdict
  }

  /** The effect has happened: where the mark cannot be written, trying again would only repeat it. */
  async function done(space: string, name: string, token: number, value: unknown, delivery: Delivery): Promise<void> {
    const result = textOf(value)
    if (result === null) exposed(delivery, 'no result')
    const marked = await claims.finish(space, name, token, result ?? undefined, windowMs).catch(() => undefined)
    if (marked !== true) exposed(delivery, marked === undefined ? 'not marked' : 'claim lost')
  }

  async function take(space: string, name: string, delivery: Delivery): Promise<Taken> {
    const owner = newId(clock.now())
    for (;;) {
      let claim: Awaited<ReturnType<Claims['acquire']>>
      try {
        claim = await claims.acquire(space, name, owner, claimMs)
      } catch (error) {
        if (whenAway === 'run') return { status: 'away' }
        throw error
      }
      if (claim.status !== 'busy') return claim
      // Another has it in hand: its outcome decides.
      if (!(await pause(clock, Math.min(Math.max(claim.untilMs - clock.now(), 1), lookMs), delivery.signal)))
        throw new MessagingError('aborted', `message ${delivery.id} is in another's hands`)
    }
  }
}

/** As it is kept: null where it is nothing that JSON can say, or too large. */
function textOf(value: unknown): string | undefined | null {
  if (value === undefined) return undefined
  try {
    const text = JSON.stringify(value)
    return text === undefined || text.length > mostResult ? null : text
  } catch {
    return null
  }
}
