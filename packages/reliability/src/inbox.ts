import { ack, type Delivery, type HandleBatch, type Middleware, type Transaction, type Verdict } from '@posthorn/core'
import { deliveryWith, type StoreParts } from '@posthorn/core/driver'
import { plain } from './guards.ts'

/** Notes in the transaction that a message is being handled; false where it was. */
export type Once = (delivery: Delivery, tx: Transaction) => Promise<boolean>

/** Handles in a transaction in which the message is noted first: effect and note commit together, on an acknowledgement only. */
export function inbox(transaction: NonNullable<StoreParts['transaction']>, once: Once): Middleware<Delivery, Verdict> {
  return (next) => async (delivery) => {
    let turned: Verdict | undefined
    try {
      return await transaction(async (tx) => {
        if (!(await once(delivery, tx))) return ack()
        const verdict = await next(deliveryWith(delivery, { tx }))
        if (verdict.verdict === 'ack') return verdict
        turned = verdict
        throw notAcknowledged
      })
    } catch (error) {
      // Rolled back with the note: only an acknowledgement commits.
      if (error === notAcknowledged && turned !== undefined) return turned
      throw error
    }
  }
}

/**
 * The same of a batch, in one transaction. If one of its messages is not acknowledged all is rolled back, and whoever gives out batches gives them out
 * one by one.
 */
export function batchInbox(
  transaction: NonNullable<StoreParts['transaction']>,
  once: Once,
): (next: HandleBatch<unknown>) => HandleBatch<unknown> {
  return (next) => async (deliveries) => {
    let turned: readonly (Verdict | void)[] | undefined
    try {
      return await transaction(async (tx) => {
        const fresh: Delivery[] = []
        const verdicts: (Verdict | void)[] = deliveries.map(() => ack())
        const places: number[] = []
        for (const [n, delivery] of deliveries.entries()) {
          if (!(await once(delivery, tx))) continue
          fresh.push(deliveryWith(delivery, { tx }))
          places.push(n)
        }
        const answer = fresh.length === 0 ? undefined : await next(fresh)
        for (const [n, place] of places.entries()) verdicts[place] = Array.isArray(answer) ? answer[n] : answer
        if (verdicts.every((each) => each === undefined || each.verdict === 'ack')) return verdicts
        turned = verdicts
        throw notAcknowledged
      })
    } catch (error) {
      if (error === notAcknowledged && turned !== undefined && deliveries.length === 1) return turned
      throw error
    }
  }
}

const notAcknowledged = new Error('the handler did not acknowledge: rolled back')

/**
 * By a table of the user's own. The conflict names its column, so that a table without a unique column is refused by the database, and does not
 * let everything through.
 */
export function ownTable(
  table: { readonly name: string; readonly column?: string | undefined },
  nameOf: (delivery: Delivery) => string,
): Once {
  const [name, column] = [plain(table.name), plain(table.column ?? 'id')]
  const insert = `INSERT INTO ${name} (${column}) VALUES ($1) ON CONFLICT (${column}) DO NOTHING RETURNING 1 AS first`
  return async (delivery, tx) => (await tx.query(insert, [nameOf(delivery)])).rows.length > 0
}
