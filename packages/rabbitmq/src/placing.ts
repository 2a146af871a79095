import type { Dispatch } from '@posthorn/core/driver'
import { MessagingError } from '@posthorn/core/driver'
import { propertiesOf } from './convert.ts'
import { type Declaring, provide } from './declaring.ts'
import { translated } from './errors.ts'
import type { Outgoing } from './frames.ts'
import type { Need } from './routes.ts'

/** Stands where a message waits for what is being provided. */
const unplaced = new MessagingError('internal', 'a message was not placed')

/** Where each message of a batch goes, or why it cannot; what one cannot be placed without is provided, once per batch. */
export async function placed(
  on: Declaring,
  batch: readonly Dispatch[],
  signal: AbortSignal,
): Promise<(Outgoing | MessagingError)[]> {
  const failures = new Map<string, MessagingError>()
  for (;;) {
    const now = on.context.clock.now()
    const needs = new Map<string, Need>()
    const out = batch.map((message): Outgoing | MessagingError => {
      try {
        const target = place(on, message, now)
        if (!('need' in target)) return target
        const name = JSON.stringify(target)
        const failure = failures.get(name)
        if (failure !== undefined) return failure
        needs.set(name, target)
        return unplaced
      } catch (error) {
        return translated(error, `message ${message.id}`)
      }
    })
    if (needs.size === 0) return out
    for (const [name, need] of needs)
      await provide(on, need, signal).catch((error: unknown) => {
        failures.set(name, translated(error, 'preparing a send'))
      })
  }
}

function place({ names, routes }: Declaring, message: Dispatch, now: number): Outgoing | Need {
  const target = routes.place(message, now)
  if ('need' in target) return target
  const { exchange, key, descent } = target
  const properties = propertiesOf(message, names, now)
  if (descent !== undefined) properties.headers = { ...properties.headers, ...descent.headers }
  return { id: message.id, exchange, key, body: message.body, properties }
}
