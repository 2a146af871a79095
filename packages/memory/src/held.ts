import type { ClaimedRow, Clock, Held, HeldRow } from '@posthorn/core/driver'
import { type HeldIndex, heldIndex, type Row } from './held-index.ts'
import { table } from './table.ts'
import { inTransaction, openTransaction } from './transaction.ts'

/** Messages that wait, in memory. */
export function memoryHeld(clock: Clock): Held {
  const watchers = new Set<() => void>()
  const index: HeldIndex = heldIndex((ref) => rows.get(ref, undefined))
  let seq = 0
  let quiet = false
  const rows = table<Row>((_ref, old, now) => {
    index.changed(old, now)
    if (now !== undefined && !quiet) for (const call of watchers) queueMicrotask(call)
  })
  return {
    async insert(list, given) {
      const put = async (tx: ReturnType<typeof openTransaction>): Promise<void> => {
        for (const row of list) {
          await rows.lock(row.ref, tx)
          if (rows.get(row.ref, tx) === undefined)
            rows.set(row.ref, { ...row, seq: ++seq, fence: 0, leasedUntil: 0 }, tx)
        }
      }
      await (given === undefined ? inTransaction(put) : put(openTransaction(given)))
    },
    async claim({ state, now, max, leaseMs }) {
      const found: ClaimedRow[] = []
      const locked: Row[] = []
      // A claim makes nothing due that was not, so nobody is called.
      quiet = true
      while (found.length < max) {
        const row = index.next(state, now)
        if (row === undefined) break
        if (rows.locked(row.ref)) {
          locked.push(row)
          continue
        }
        const claimed: Row = { ...row, fence: row.fence + 1, leasedUntil: now + leaseMs }
        rows.set(row.ref, claimed, undefined)
        found.push(plain(claimed))
      }
      quiet = false
      for (const row of locked) index.again(row)
      return found.sort((a, b) => a.dueAt - b.dueAt)
    },
    async change(ref, expect, to, given) {
      const tx = given === undefined ? undefined : openTransaction(given)
      await rows.lock(ref, tx)
      const row = rows.get(ref, tx)
      if (row === undefined || row.state !== expect.state) return false
      if (expect.fence === undefined ? row.leasedUntil > clock.now() : row.fence !== expect.fence) return false
      const next =
        to === undefined
          ? undefined
          : { ...row, state: to.state, dueAt: to.dueAt, tries: to.tries ?? row.tries, leasedUntil: 0 }
      rows.set(ref, next, tx)
      return true
    },
    async get(ref, given) {
      const row = rows.get(ref, given === undefined ? undefined : openTransaction(given))
      return row === undefined ? undefined : plain(row)
    },
    async range({ state, lane, after, max }) {
      const out: HeldRow[] = []
      const from = after === undefined ? -1 : index.seqOf(after)
      for (const row of index.inOrder(state, lane)) {
        if (row.seq <= from) continue
        if (out.length >= max) break
        out.push(plain(row))
      }
      return out
    },
    count: async (state, lane) => index.count(state, lane),
    nextDue: async (state) => index.nextDue(state),
    watch(call) {
      const own = (): void => call()
      watchers.add(own)
      return () => void watchers.delete(own)
    },
  }
}

function plain({ ref, state, message, topic, lane, dueAt, tries, fence }: Row): ClaimedRow {
  return { ref, state, message, topic, lane, dueAt, tries, fence }
}
