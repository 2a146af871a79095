import type { Clock } from '../driver/clock.ts'
import type { Next } from '../face/extending.ts'
import type { BatchOptions, Delivery, Verdict } from '../face/handling.ts'
import { verdictOf } from './handling.ts'

/** What a batch handler may answer. */
type BatchAnswer = Verdict | readonly (Verdict | void)[] | void
type HandleBatch = (deliveries: readonly Delivery[]) => Promise<BatchAnswer>

interface Waiting {
  readonly delivery: Delivery
  readonly resolve: (verdict: Verdict) => void
  readonly reject: (error: unknown) => void
}

/**
 * Collects single deliveries for a handler that takes many. Middlewares and policies keep seeing one message each. Where the handler
 * throws, its messages are given to it again one by one, so that one bad message does not fail its neighbours.
 */
export function batched(
  clock: Clock,
  options: BatchOptions,
  handle: HandleBatch,
  stopping: AbortSignal,
): Next<Delivery, Verdict> {
  let waiting: Waiting[] = []
  let cancel: (() => void) | undefined
  const flush = (): void => {
    cancel?.()
    cancel = undefined
    const batch = waiting
    waiting = []
    if (batch.length > 0) void deliver(handle, batch)
  }
  stopping.addEventListener('abort', flush, { once: true })
  return (delivery) =>
    new Promise((resolve, reject) => {
      waiting.push({ delivery, resolve, reject })
      if (waiting.length >= options.size || stopping.aborted) flush()
      else cancel ??= clock.after(options.waitMs, flush)
    })
}

async function deliver(handle: HandleBatch, batch: readonly Waiting[]): Promise<void> {
  let answer: BatchAnswer
  try {
    answer = await handle(batch.map((each) => each.delivery))
  } catch (error) {
    if (batch.length === 1) batch[0]?.reject(error)
    else for (const each of batch) await deliver(handle, [each])
    return
  }
  for (const [i, each] of batch.entries()) {
    try {
      each.resolve(verdictOf(Array.isArray(answer) ? answer[i] : answer))
    } catch (error) {
      each.reject(error)
    }
  }
}
