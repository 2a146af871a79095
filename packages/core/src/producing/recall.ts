// Taking back and putting off what still waits.
import type { Runtime } from '../broker/runtime.ts'
import { anything, checkOptions, checkValue, date, ms, object, plainName, type Shape } from '../checked.ts'
import { MessagingError } from '../errors.ts'
import type { MessageRef } from '../face/sending.ts'
import type { Transaction } from '../face/stores.ts'
import { batchShape, dueOf } from './dispatch.ts'
import { lacksKeeper, within } from './holding.ts'

const refShape: Shape = {
  id: (value) => (typeof value === 'string' && value !== '' ? undefined : 'the id of a message'),
  topic: plainName,
  handle: anything,
  // A receipt is a reference, too.
  held: anything,
  position: anything,
  dueAt: anything,
}
const txShape: Shape = { tx: batchShape['tx'] as NonNullable<(typeof batchShape)['tx']> }
const whenShape: Shape = { delayMs: ms(0), deliverAt: date }

/** Where delayed messages of this broker wait: the driver's own, or the keeper's. */
function waitsAtDriver(runtime: Runtime): boolean {
  return runtime.traits.cancel && (runtime.storeIsDriver || runtime.keeper === undefined)
}

/** `producer.cancel`. */
export async function cancel(
  runtime: Runtime,
  timeoutMs: number,
  message: MessageRef,
  options: { readonly tx?: Transaction | undefined } | undefined,
): Promise<'cancelled' | 'too-late' | 'unknown'> {
  runtime.open('cancel')
  check('cancel()', message, options)
  const { id, topic } = message
  const tx = options?.tx
  const { driver, keeper } = runtime
  return within(runtime, timeoutMs, undefined, `cancelling ${id} of ${topic}`, async () => {
    if (waitsAtDriver(runtime) && driver.cancel !== undefined) {
      const answer = await driver.cancel(id, topic, tx)
      // A delay beyond the driver's own reach waits in its store.
      if (answer !== 'unknown' || keeper === undefined) return answer
    }
    if (keeper !== undefined) return keeper.cancel(id, topic, tx)
    throw lacksKeeper(runtime, 'cancel()')
  })
}

/** `producer.reschedule`. */
export async function reschedule(
  runtime: Runtime,
  timeoutMs: number,
  message: MessageRef,
  when: { readonly delayMs: number } | { readonly deliverAt: Date },
  options: { readonly tx?: Transaction | undefined } | undefined,
): Promise<'rescheduled' | 'too-late' | 'unknown'> {
  runtime.open('reschedule')
  check('reschedule()', message, options)
  checkValue('reschedule()', 'when', when, object, true)
  checkOptions('reschedule()', when, whenShape)
  const { id, topic } = message
  const now = runtime.clock.now()
  if (Object.values(when).every((each) => each === undefined))
    throw new MessagingError('invalid', 'reschedule(): nobody says when; give { delayMs } or { deliverAt }')
  const notBefore = dueOf(topic, now, when) ?? now
  const tx = options?.tx
  const { driver, keeper } = runtime
  return within(runtime, timeoutMs, undefined, `rescheduling ${id} of ${topic}`, async () => {
    if (waitsAtDriver(runtime) && driver.reschedule !== undefined) {
      const answer = await driver.reschedule(id, topic, notBefore, tx)
      // A delay beyond the driver's own reach waits in its store.
      if (answer !== 'unknown' || keeper === undefined) return answer
    }
    if (keeper !== undefined) return keeper.reschedule(id, topic, notBefore, tx)
    throw lacksKeeper(runtime, 'reschedule()')
  })
}

function check(call: string, message: MessageRef, options: unknown): void {
  checkValue(call, 'the message', message, object, true)
  checkOptions(call, message, refShape)
  for (const name of ['id', 'topic'] as const)
    checkValue(call, name, message[name], refShape[name] as NonNullable<(typeof refShape)['id']>, true)
  checkOptions(call, options, txShape)
}
