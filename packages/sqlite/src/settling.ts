import type { Settled, Settlement } from '@posthorn/core/driver'
import { Delivery } from './convert.ts'
import type { Hub } from './hub.ts'
import { dropCopies } from './log.ts'
import { freeLane, putBack } from './returning.ts'
import type { Sql } from './sql.ts'
import { span } from './topic-rows.ts'
import type { Work } from './writer.ts'

const remove = 'DELETE FROM posthorn_delivery WHERE grp = ? AND ord = ? AND claim = ? AND state = 1'
const ours = 'SELECT starts FROM posthorn_delivery WHERE grp = ? AND ord = ? AND claim = ? AND state = 1'

const nothing: ReadonlySet<number> = new Set()
/** Places per message of a claim up to which it is removed as one range. */
const widest = 8

/**
 * Settles deliveries of a group; each only if it is still in the hand that it was given to. `sure`: the caller has said of each delivery whether
 * anybody settled it before.
 */
export function settle(
  work: Work,
  hub: Pick<Hub, 'wake'>,
  group: number,
  batch: readonly Settlement[],
  now: number,
  sure = false,
): Settled[] {
  const { sql } = work
  const whole = sure ? removeWhole(sql, group, batch) : nothing
  const lanes = new Set<string>()
  const claims = new Map<number, number>()
  const copies: number[] = []
  const back = new Set<number>()
  const removing = sql.statement(remove)
  const answers = batch.map((settlement): Settled => {
    const token = settlement.token as Delivery
    if (settlement.verdict === 'ack') {
      if (token.sure && whole.has(token.claim)) return 'ok'
      if (removing.run(group, token.ord, token.claim).changes === 0) return 'stale'
      if (token.copy) copies.push(token.ord)
    } else {
      const row = sql.row(ours, group, token.ord, token.claim)
      if (row === undefined) return 'stale'
      const { failures, history, afterMs = 0 } = settlement
      putBack(sql, group, token.ord, token.lane ?? null, afterMs > 0 ? now + Math.ceil(afterMs) : 0, now)
      // What is handed back has ended, however it did: only a start that never does counts.
      if (token.marked)
        sql.run('UPDATE posthorn_delivery SET lone = ? WHERE grp = ? AND ord = ?', token.lone, group, token.ord)
      if (failures === undefined)
        sql.run('UPDATE posthorn_delivery SET starts = max(0, starts - 1) WHERE grp = ? AND ord = ?', group, token.ord)
      else
        sql.run(
          'UPDATE posthorn_delivery SET failures = ?, history = coalesce(?, history) WHERE grp = ? AND ord = ?',
          failures,
          history === undefined ? null : JSON.stringify(history),
          group,
          token.ord,
        )
      back.add(Math.floor(token.ord / span))
    }
    claims.set(token.claim, (claims.get(token.claim) ?? 0) + 1)
    if (token.lane !== undefined) lanes.add(token.lane)
    return 'ok'
  })
  for (const [no, count] of claims) letGo(sql, group, no, count)
  dropCopies(sql, copies)
  for (const lane of lanes) if (freeLane(sql, group, lane, now)) back.add(Number.parseInt(lane, 10))
  if (back.size > 0) work.after(() => hub.wake.topics(back))
  return answers
}

/** Claims whose last deliveries are all acknowledged here, without lanes and copies to see to: one statement each. */
function removeWhole(sql: Sql, group: number, batch: readonly Settlement[]): ReadonlySet<number> {
  const counts = new Map<number, number>()
  for (const { token, verdict } of batch) {
    const { claim, lane, copy, sure } = token as Delivery
    if (verdict === 'ack' && sure && lane === undefined && !copy) counts.set(claim, (counts.get(claim) ?? 0) + 1)
  }
  const whole = new Set<number>()
  for (const [no, count] of counts) {
    const row = sql.row('SELECT remaining, low, high FROM posthorn_claim WHERE grp = ? AND no = ?', group, no)
    if (row?.['remaining'] !== count) continue
    // One that came back after long, together with new ones: all that waits would lie between them.
    if ((row['high'] as number) - (row['low'] as number) > widest * count) continue
    sql.run(
      'DELETE FROM posthorn_delivery WHERE grp = ? AND ord BETWEEN ? AND ? AND claim = ? AND state = 1',
      group,
      row['low'] as number,
      row['high'] as number,
      no,
    )
    sql.run('DELETE FROM posthorn_claim WHERE grp = ? AND no = ?', group, no)
    whole.add(no)
  }
  return whole
}

function letGo(sql: Sql, group: number, no: number, count: number): void {
  const row = sql.row(
    'UPDATE posthorn_claim SET remaining = remaining - ? WHERE grp = ? AND no = ? RETURNING remaining',
    count,
    group,
    no,
  )
  if ((row?.['remaining'] as number | undefined) === 0)
    sql.run('DELETE FROM posthorn_claim WHERE grp = ? AND no = ?', group, no)
}

/** Gives deliveries more time. */
export function extend(sql: Sql, group: number, tokens: readonly Delivery[], until: number): Settled[] {
  const claims = new Map<number, number>()
  const answers = tokens.map(({ ord, claim }): Settled => {
    const found = sql.run(
      'UPDATE posthorn_delivery SET until = ? WHERE grp = ? AND ord = ? AND claim = ? AND state = 1',
      until,
      group,
      ord,
      claim,
    )
    if (found === 0) return 'stale'
    claims.set(claim, (claims.get(claim) ?? 0) + 1)
    return 'ok'
  })
  // Where only some of a claim were extended, it is looked at when the others run out.
  for (const [no, count] of claims)
    sql.run('UPDATE posthorn_claim SET until = ? WHERE grp = ? AND no = ? AND remaining <= ?', until, group, no, count)
  return answers
}

/** Notes that this delivery starts alone, or that the start has ended. */
export function mark(sql: Sql, group: number, token: Delivery, starts: boolean): Settled {
  const found = sql.run(
    'UPDATE posthorn_delivery SET lone = ? WHERE grp = ? AND ord = ? AND claim = ? AND state = 1',
    token.lone + (starts ? 1 : 0),
    group,
    token.ord,
    token.claim,
  )
  token.marked = starts
  return found === 0 ? 'stale' : 'ok'
}

/** Those tokens that are of this source. */
export function isDelivery(token: unknown): token is Delivery {
  return token instanceof Delivery
}
