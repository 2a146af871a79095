// Sending by hand with each client, safely: idempotent, all replicas, one request out at a time.
import type { Message } from 'kafkajs'
import { address, type Client, native } from './kafka-ground.ts'

/** What a client needs for sending by hand. */
export type RawSend = (batch: readonly Buffer[]) => Promise<unknown>

/** A client's own producer, as safe as ours. */
export const rawSender = async (
  client: Client,
  name: string,
): Promise<{ send: RawSend; close: () => Promise<unknown> }> => {
  if (client === 'kafkajs') {
    const producer = (await native()).producer({ idempotent: true, maxInFlightRequests: 1 })
    await producer.connect()
    const send: RawSend = (batch) =>
      producer.send({ topic: name, acks: -1, messages: batch.map((value): Message => ({ value })) })
    return { send, close: () => producer.disconnect() }
  }
  const { Producer } = await import('@platformatic/kafka')
  const producer = new Producer({ clientId: 'bench', bootstrapBrokers: [await address()], idempotent: true })
  const send: RawSend = (batch) =>
    producer.send({ acks: -1, messages: batch.map((value) => ({ topic: name, value, partition: 0 })) })
  return { send, close: () => producer.close() }
}

/** The ten lines that batch by hand: everything of a turn, and what comes while the one request is out. */
export const batching = (send: RawSend): ((value: Buffer) => Promise<void>) => {
  const queue: { value: Buffer; done: () => void; failed: (error: unknown) => void }[] = []
  let busy = false
  const flush = (): void => {
    if (busy || queue.length === 0) return
    const take = queue.splice(0, 1_000)
    busy = true
    send(take.map(({ value }) => value))
      .then(
        () => take.forEach(({ done }) => void done()),
        (error: unknown) => take.forEach(({ failed }) => void failed(error)),
      )
      .finally(() => {
        busy = false
        flush()
      })
  }
  return (value) =>
    new Promise((done, failed) => {
      queue.push({ value, done, failed })
      if (queue.length === 1) setImmediate(flush)
    })
}
