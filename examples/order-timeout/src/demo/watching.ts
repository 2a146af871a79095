import type { Broker, ConsumeExtension } from 'posthorn'
import { orderOf } from '../shop/messages.ts'
import type { Service } from '../shop/service.ts'
import { tell } from '../shop/tables.ts'

/** What Posthorn itself tells of a message, for the order's story: retries, dead letters, duplicates that the inbox dropped. */
export interface Watch {
  readonly extension: ConsumeExtension
  /** A delivery that reaches the service is no duplicate. */
  seeing<T>(service: Service<T>): Service<T>
}

export function watching(broker: Broker): Watch {
  const started = new Set<string>()
  const record = (id: string, what: string, detail: string): void => {
    broker.store
      .transaction((tx) => tell(tx, orderOf(id), what, detail))
      .catch((error: unknown) => console.error(`${what} of ${id} is not in the story: ${error}`))
  }
  broker.on('retry', ({ id, group, attempt, error }) =>
    record(id, 'retried', `${group}, after try ${attempt}: ${error instanceof Error ? error.message : error}`),
  )
  broker.on('dead-letter', ({ id, group, reason, error }) =>
    record(id, 'dead letter', `${group}, ${reason}: ${error ?? ''}`),
  )
  return {
    seeing: (service) => ({
      handle(delivery) {
        started.add(`${delivery.group} ${delivery.id}`)
        return service.handle(delivery)
      },
    }),
    extension: {
      name: 'watching',
      consume: (next) => async (delivery) => {
        const verdict = await next(delivery)
        const ran = started.delete(`${delivery.group} ${delivery.id}`)
        if (verdict.verdict === 'ack' && !ran) record(delivery.id, 'duplicate dropped', delivery.group)
        return verdict
      },
    },
  }
}
