import type { Broker, ConsumeExtension } from 'posthorn'
import { tell } from './tables.ts'

/** What the broker itself tells of a message, for the order's story: retries, dead letters, duplicates that the inbox dropped. */
export function watching(broker: Broker): ConsumeExtension & { readonly ran: (group: string, id: string) => void } {
  const started = new Set<string>()
  const record = (orderId: string, what: string, detail: string): void => {
    broker.store.transaction((tx) => tell(tx, orderId, what, detail)).catch(() => {})
  }
  broker.on('retry', ({ id, group, attempt, error }) =>
    record(orderOf(id), 'retried', `${group}, try ${attempt}: ${String((error as Error)?.message ?? error)}`),
  )
  broker.on('dead-letter', ({ id, group, reason, error }) =>
    record(orderOf(id), 'dead letter', `${group}: ${reason}: ${error ?? ''}`),
  )
  return {
    name: 'watching',
    ran: (group, id) => void started.add(`${group} ${id}`),
    consume: (next) => async (delivery) => {
      const verdict = await next(delivery)
      const ran = started.delete(`${delivery.group} ${delivery.id}`)
      if (verdict.verdict === 'ack' && !ran) record(orderOf(delivery.id), 'duplicate dropped', delivery.group)
      return verdict
    },
  }
}

/** Our message ids end in the order's. */
export function orderOf(id: string): string {
  return id.slice(id.indexOf('-') + 1)
}
