import type { Claim, Claims, Clock } from '@posthorn/core/driver'
import { type Table, table } from './table.ts'
import { inTransaction, openTransaction } from './transaction.ts'

interface Row {
  readonly owner: string
  readonly token: number
  /** Epoch ms from which it is as if it had never been. */
  readonly until: number
  readonly done: boolean
  readonly result: string | undefined
}

interface Space {
  readonly names: Table<Row>
  /** Rows to look at before old ones are swept. */
  sweepAt: number
}

/** Names taken, in memory. */
export function memoryClaims(clock: Clock): Claims {
  const spaces = new Map<string, Space>()
  const buckets = new Map<string, Map<string, { tokens: number; at: number }>>()
  // One counter for all: it rises for every name, also for one that was forgotten.
  let tokens = 0
  const spaceOf = (name: string): Space => {
    let space = spaces.get(name)
    if (space === undefined) {
      space = { names: table<Row>(() => {}), sweepAt: 1_024 }
      spaces.set(name, space)
    }
    if (space.names.rows.size >= space.sweepAt) {
      const now = clock.now()
      for (const [key, row] of space.names.rows)
        if (row.until <= now && !space.names.locked(key)) space.names.set(key, undefined, undefined)
      space.sweepAt = Math.max(1_024, 2 * space.names.rows.size)
    }
    return space
  }
  const change = async (
    space: string,
    name: string,
    token: number,
    to: (row: Row) => Row | undefined,
  ): Promise<boolean> => {
    const { names } = spaceOf(space)
    await names.lock(name, undefined)
    const row = names.get(name, undefined)
    if (row === undefined || row.done || row.token !== token || row.until <= clock.now()) return false
    names.set(name, to(row), undefined)
    return true
  }
  return {
    async once(space, name, keepMs, given) {
      const tx = openTransaction(given)
      const { names } = spaceOf(space)
      await names.lock(name, tx)
      const row = names.get(name, tx)
      if (row !== undefined && row.until > clock.now()) return false
      names.set(name, { owner: '', token: ++tokens, until: clock.now() + keepMs, done: true, result: undefined }, tx)
      return true
    },
    acquire: (space, name, owner, ttlMs): Promise<Claim> =>
      inTransaction(async (tx) => {
        const { names } = spaceOf(space)
        await names.lock(name, tx)
        const row = names.get(name, tx)
        if (row !== undefined && row.until > clock.now())
          return row.done
            ? { status: 'done', result: row.result }
            : { status: 'busy', owner: row.owner, untilMs: row.until }
        const token = ++tokens
        names.set(name, { owner, token, until: clock.now() + ttlMs, done: false, result: undefined }, tx)
        return { status: 'fresh', token }
      }),
    renew: (space, name, token, ttlMs) => change(space, name, token, (row) => ({ ...row, until: clock.now() + ttlMs })),
    finish: (space, name, token, result, keepMs) =>
      change(space, name, token, (row) => ({ ...row, done: true, result, until: clock.now() + keepMs })),
    release: (space, name, token) => change(space, name, token, () => undefined),
    async take(space, name, { perSecond, burst }) {
      const names = buckets.get(space) ?? new Map<string, { tokens: number; at: number }>()
      buckets.set(space, names)
      const now = clock.now()
      const bucket = names.get(name) ?? { tokens: burst, at: now }
      names.set(name, bucket)
      bucket.tokens = Math.min(burst, bucket.tokens + ((now - bucket.at) / 1_000) * perSecond)
      bucket.at = now
      if (bucket.tokens < 1) return Math.ceil(((1 - bucket.tokens) / perSecond) * 1_000)
      bucket.tokens--
      return 0
    },
    async forget(space) {
      spaces.delete(space)
      buckets.delete(space)
    },
  }
}
