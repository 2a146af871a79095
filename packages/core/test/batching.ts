import type { MessagingError } from '../src/errors.ts'
import { createProducer } from '../src/producing/producer.ts'
import { topic } from '../src/topic.ts'
import { type RigOptions, sendingRig } from './sending-rig.ts'

const texts = topic<string>('t')

/** Bodies of each batch so far. */
export function batchesOf(rig: ReturnType<typeof sendingRig>): string[][] {
  return rig.flights.map(({ messages }) => messages.map(({ body }) => JSON.parse(Buffer.from(body).toString())))
}

/** A producer whose driver answers when the test says so; `send` tells who holds the message, or how it ended. */
export function batching(options: RigOptions, producing: Parameters<typeof createProducer>[1] = {}) {
  const rig = sendingRig(options)
  const producer = createProducer(rig.runtime, producing)
  const send = (body: string, key?: string, more?: object): Promise<string> =>
    producer.send(texts, body, { key, id: body, ...more }).then(
      ({ held }) => held,
      (error: MessagingError) => `${error.code} ${error.outcome}`,
    )
  return { rig, producer, send }
}
