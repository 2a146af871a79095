import { isMessagingError, MessagingError } from '../src/errors.ts'
import type { Transaction } from '../src/face/stores.ts'
import { createProducer } from '../src/producing/producer.ts'
import { topic } from '../src/topic.ts'
import { type RigOptions, sendingRig } from './sending-rig.ts'

/** A topic of anything. */
export const t = topic<unknown>('t')

/** The transaction of some store. */
export const tx: Transaction = { query: async () => ({ rows: [] }) }

/** A producer whose driver takes everything. */
export function producing(options: RigOptions = {}, asked: Parameters<typeof createProducer>[1] = {}) {
  const rig = sendingRig(options)
  rig.auto((flight) => flight.ok())
  return { rig, producer: createProducer(rig.runtime, asked) }
}

/** What a promise was refused with: code and text. */
export async function refusal(promise: Promise<unknown>): Promise<string> {
  const error: unknown = await promise.then(
    () => 'resolved',
    (reason: unknown) => reason,
  )
  return isMessagingError(error) ? `${error.code} ${error.message}` : String(error)
}

/** The broker cannot be reached. */
export const away = (): MessagingError => new MessagingError('unavailable', 'away')
