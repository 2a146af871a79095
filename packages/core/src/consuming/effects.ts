import type { Runtime } from '../broker/runtime.ts'
import type { Dispatch } from '../driver/envelope.ts'
import type { Producer } from '../face/sending.ts'
import { createProducer } from '../producing/producer.ts'

/** A producer whose messages are kept until they can be sent together with an acknowledgement. */
export interface Capture {
  readonly producer: Producer
  /** What was sent, in order, once everything has come through codec and middlewares. */
  sends(): Promise<readonly Dispatch[]>
}

/** The whole sending half, before a driver that only remembers: what a handler sends counts when its message is acknowledged. */
export function capturing(runtime: Runtime): Capture {
  const kept: Dispatch[] = []
  const driver: Runtime['driver'] = Object.create(runtime.driver, {
    send: {
      value: async (batch: readonly Dispatch[]) => {
        kept.push(...batch)
        return batch.map(() => ({ ok: true, position: undefined }))
      },
    },
  })
  // Without a keeper: what would wait in a store could not be part of the broker's transaction, and is refused.
  const producer = createProducer({ ...runtime, driver, keeper: undefined, within: 'exactly-once-sends' })
  return {
    producer,
    async sends() {
      await producer.flush()
      return kept
    },
  }
}
