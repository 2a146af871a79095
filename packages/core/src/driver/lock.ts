import { callable, checkOptions, checkValue, ms, type Shape, text } from '../checked.ts'
import { MessagingError } from '../errors.ts'
import { type Clock, pause } from './clock.ts'
import { newId } from './id.ts'
import { renewing } from './renewing.ts'
import type { Claims } from './store.ts'

const lockShape = { ttlMs: ms(1), waitMs: ms() } satisfies Shape

/**
 * Runs `work` while a claim is held and renewed at a third of its time. `signal` aborts when the claim is lost; `token` rises with
 * each holder, so that what is written outside can refuse an older one.
 */
export async function lockWith<R>(
  claims: Claims,
  clock: Clock,
  name: string,
  options: { readonly ttlMs: number; readonly waitMs?: number | undefined },
  work: (lock: { readonly token: number; readonly signal: AbortSignal }) => Promise<R>,
): Promise<R> {
  checkValue('lock()', 'the name', name, text(200), true)
  checkOptions('lock()', options, lockShape, ['ttlMs'])
  checkValue('lock()', 'the work', work, callable, true)
  const owner = newId(clock.now())
  const token = await take(claims, clock, name, owner, options)
  const lost = new AbortController()
  const stop = renewing(claims, clock, { space: 'lock', name, token }, options.ttlMs, () =>
    lost.abort(new MessagingError('stale', `the lock ${name} was lost: another may hold it by now`)),
  )
  try {
    return await work({ token, signal: lost.signal })
  } finally {
    stop()
    await claims.release('lock', name, token).catch(() => false)
  }
}

async function take(
  claims: Claims,
  clock: Clock,
  name: string,
  owner: string,
  options: { readonly ttlMs: number; readonly waitMs?: number | undefined },
): Promise<number> {
  const deadline = clock.now() + (options.waitMs ?? 0)
  for (let waitMs = 5; ; waitMs = Math.min(waitMs * 2, 500)) {
    const claim = await claims.acquire('lock', name, owner, options.ttlMs)
    if (claim.status === 'fresh') return claim.token
    const left = deadline - clock.now()
    if (left <= 0)
      throw new MessagingError(
        'timeout',
        `the lock ${name} is held by another; wait longer by waitMs, or try again later`,
      )
    await pause(clock, Math.min(waitMs * (0.5 + Math.random() / 2), left))
  }
}
