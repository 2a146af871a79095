import type { Clock } from '../driver/clock.ts'
import { MessagingError } from '../errors.ts'
import type { BatchOptions, Delivery, HandleBatch, Verdict } from '../face/handling.ts'
import { type Answer, type Chain, verdictOf } from './handling.ts'

/** One delivery until its batch has ended. A promise of each would cost more than all that is done with it here. */
class Waiting implements Answer {
  readonly delivery: Delivery
  #ended: ((resolve: (verdict: Verdict) => void, reject: (error: unknown) => void) => void) | undefined
  #resolve: ((verdict: Verdict) => void) | undefined
  #reject: ((error: unknown) => void) | undefined

  constructor(delivery: Delivery) {
    this.delivery = delivery
  }

  // biome-ignore lint/suspicious/noThenProperty: it is awaited as a promise would be.
  then(resolve: (verdict: Verdict) => void, reject: (error: unknown) => void): void {
    if (this.#ended !== undefined) this.#ended(resolve, reject)
    this.#resolve = resolve
    this.#reject = reject
  }
  resolve(verdict: Verdict): void {
    if (this.#resolve === undefined) this.#ended = (resolve) => resolve(verdict)
    else this.#resolve(verdict)
  }
  reject(error: unknown): void {
    if (this.#reject === undefined) this.#ended = (_, reject) => reject(error)
    else this.#reject(error)
  }
}

/** A batch handler as core drives it. */
export interface Batched {
  readonly collect: Chain
  /** The consumer stops: what has been collected is handled now, not when its time is over. */
  stop(): void
}

/**
 * Collects single deliveries for a handler that takes many. Middlewares and policies keep seeing one message each. Where the handler
 * throws, its messages are given to it again one by one, so that one bad message does not fail its neighbours.
 */
export function batched(clock: Clock, options: BatchOptions, handle: HandleBatch<unknown>): Batched {
  let waiting: Waiting[] = []
  let cancel: (() => void) | undefined
  let stopping = false
  const flush = (): void => {
    cancel?.()
    cancel = undefined
    const batch = waiting
    waiting = []
    if (batch.length > 0) void deliver(handle, batch)
  }
  return {
    collect(delivery) {
      const one = new Waiting(delivery)
      waiting.push(one)
      if (waiting.length >= options.size || stopping) flush()
      else cancel ??= clock.after(options.waitMs, flush)
      return one
    },
    stop() {
      stopping = true
      flush()
    },
  }
}

async function deliver(handle: HandleBatch<unknown>, batch: readonly Waiting[]): Promise<void> {
  let answer: Awaited<ReturnType<HandleBatch<unknown>>>
  try {
    answer = await handle(batch.map((each) => each.delivery))
  } catch (error) {
    if (batch.length === 1) batch[0]?.reject(error)
    else for (const each of batch) await deliver(handle, [each])
    return
  }
  if (Array.isArray(answer) && answer.length !== batch.length) {
    // Which of them is whose nobody knows.
    const error = new MessagingError(
      'invalid',
      `the handler returned ${answer.length} verdicts for ${batch.length} messages; return one for each, in their order, or one for all`,
    )
    for (const each of batch) each.reject(error)
    return
  }
  for (let i = 0; i < batch.length; i++) {
    const each = batch[i] as Waiting
    let verdict: Verdict
    try {
      verdict = verdictOf(Array.isArray(answer) ? answer[i] : answer)
    } catch (error) {
      each.reject(error)
      continue
    }
    each.resolve(verdict)
  }
}
