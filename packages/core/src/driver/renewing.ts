import type { Clock } from './clock.ts'
import type { Claims } from './store.ts'

/**
 * Renews a claim at a third of its time until it is told to stop; a store that is away is asked again as long as the claim may still be ours. `lost` is told once
 * when it is not.
 */
export function renewing(
  claims: Claims,
  clock: Clock,
  { space, name, token }: { readonly space: string; readonly name: string; readonly token: number },
  ttlMs: number,
  lost: () => void,
): () => void {
  let over = false
  let cancel = (): void => {}
  let until = clock.now() + ttlMs
  const arm = (ms: number): void => {
    if (!over) cancel = clock.after(ms, renew, { unref: true })
  }
  const renew = (): void => {
    const asked = clock.now()
    claims.renew(space, name, token, ttlMs).then(
      (ours) => {
        if (over) return
        if (!ours) return lost()
        until = asked + ttlMs
        arm(ttlMs / 3)
      },
      () => {
        if (over) return
        if (clock.now() >= until) lost()
        else arm(Math.min(1_000, until - clock.now()))
      },
    )
  }
  arm(ttlMs / 3)
  return () => {
    over = true
    cancel()
  }
}
