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
  return { id: message.id, exchange, key, body: message.body, properties, fate: undefined }
}

/** Whether a message must wait until levels of the delay ladder are made, which many others need not. */
export function lacksLadder({ routes, context }: Declaring, message: Dispatch): boolean {
  if (message.notBefore === undefined) return false
  try {
    const target = routes.place(message, context.clock.now())
    return 'need' in target && target.need === 'level'
  } catch {
    // What cannot be placed at all is said where it is placed.
    return false
  }
}

/** Sends those of a batch that wait beside the others, so that they hold nobody up; results in the order of the batch. */
export async function apart<M, R>(
  batch: readonly M[],
  waits: (message: M) => boolean,
  send: (part: readonly M[]) => Promise<readonly R[]>,
): Promise<readonly R[]> {
  const late = batch.map(waits)
  const held = batch.filter((_, i) => late[i])
  if (held.length === 0 || held.length === batch.length) return send(batch)
  const [first, rest] = await Promise.all([send(batch.filter((_, i) => !late[i])), send(held)])
  let [nextFirst, nextRest] = [0, 0]
  return late.map((waited) => (waited ? rest[nextRest++] : first[nextFirst++]) as R)
}
