import type { Runtime } from '../broker/runtime.ts'
import { describe, MessagingError } from '../errors.ts'
import type { Receipt } from '../face/sending.ts'
import type { Draft } from './dispatch.ts'
import type { Door } from './entrance.ts'
import { lacksKeeper, within } from './holding.ts'
import { type Outbound, receiptOf } from './outbound.ts'

/** Refuses half messages that nobody could ever decide on. */
export function checkHalf(runtime: Runtime, topic: string): void {
  const { keeper } = runtime
  if (keeper === undefined) throw lacksKeeper(runtime, 'sendHalf()')
  if (!keeper.checks(topic))
    throw new MessagingError(
      'invalid',
      `sendHalf(): nobody answers for half messages of ${topic} whose sender vanished; call broker.checkHalf(topic, check) for it at start`,
    )
}

/**
 * Holds the message back, runs the work, then lets go or takes back. Where the answer of commit or roll-back is lost, the check that is
 * registered decides later by what the work left behind.
 */
export async function sendHalf<R>(
  runtime: Runtime,
  out: Outbound,
  door: Door,
  body: unknown,
  draft: Draft,
  signal: AbortSignal | undefined,
  work: (message: { readonly id: string; readonly signal: AbortSignal }) => Promise<R>,
): Promise<{ readonly receipt: Receipt; readonly result: R }> {
  let result: R | undefined
  let thrown: { readonly error: unknown } | undefined
  const receipt = await out
    .aside(draft, async () => {
      await out.encode(door, body, draft)
      const { timeoutMs } = out.owner
      const what = `the half message ${draft.id} of ${draft.topic}`
      const { keeper } = runtime
      if (keeper === undefined) throw lacksKeeper(runtime, 'sendHalf()')
      out.entrance.announce(door)
      const half = await within(runtime, timeoutMs, signal, `${what}: preparing it`, () => keeper.prepare(draft))
      try {
        const stop = signal === undefined ? half.signal : AbortSignal.any([half.signal, signal])
        result = await work({ id: draft.id, signal: stop })
      } catch (error) {
        thrown = { error }
        // Rolled back at the latest by the check; the caller's own error matters more.
        await within(runtime, timeoutMs, undefined, `${what}: rolling it back`, () => half.rollback()).catch(
          (failure: unknown) =>
            runtime.events.say(`${what} was not rolled back, its check will decide: ${describe(failure)}`),
        )
        throw new MessagingError('aborted', `${what} was rolled back: its work failed: ${describe(error)}`, {
          cause: error,
        })
      }
      await within(runtime, timeoutMs, undefined, `${what}: committing it`, () => half.commit())
      return { held: 'outbox' }
    })
    .catch((error: unknown) => {
      throw thrown === undefined ? error : thrown.error
    })
  return { receipt: receiptOf(draft, receipt.held, undefined), result: result as R }
}
