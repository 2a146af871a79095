import type { Runtime } from '../broker/runtime.ts'
import type { Dispatch } from '../driver/envelope.ts'
import type { SendResult } from '../driver/seam.ts'
import { defaultTimeoutMs } from './outbound.ts'
import { sharedOf } from './shared.ts'
import { listOf, type Owner, type Slot, slotOf } from './slot.ts'

/** Sends what is ready-made: retry copies, redrives, dead letters, answers, what a keeper releases. */
export interface Relay {
  /** With the publish deadline and its retries, in order of the calls per topic and key; never rejects. */
  send(dispatch: Dispatch): Promise<SendResult>
}

/** The relay of a broker. Through the same batches as its producers, without their buffers: what is relayed was bounded before. */
export function relay(runtime: Runtime, timeoutMs = defaultTimeoutMs): Relay {
  const { batcher, entrance } = sharedOf(runtime)
  const owner: Owner = {
    timeoutMs,
    lingerMs: 0,
    buffer: Infinity,
    admitted: 0,
    outside: listOf(),
    divert: undefined,
    settled(slot: Slot, error) {
      const result: SendResult = error === undefined ? { ok: true, position: slot.position } : { ok: false, error }
      slot.resolve(result as never)
    },
  }
  return {
    send(dispatch) {
      return new Promise<SendResult>((resolve) => {
        const slot = slotOf(owner, dispatch.topic, dispatch.id, runtime.clock.now() + timeoutMs, dispatch, undefined)
        slot.resolve = resolve
        batcher.watch(slot, undefined)
        // What another process held may be of a topic that this one has never seen: the broker has it already.
        const topic = runtime.topicNamed(dispatch.topic)
        if (topic === undefined) batcher.add(slot)
        else entrance.enter(entrance.of(topic), slot)
      })
    },
  }
}
