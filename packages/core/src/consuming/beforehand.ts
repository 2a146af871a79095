// What must be settled of a message before its handler may start.
import type { Runtime } from '../broker/runtime.ts'
import type { Brought, redelivery } from './redelivery.ts'
import type { Settings } from './settings.ts'
import type { Task } from './task.ts'

/** Unsettled starts alone after which a message is poison. */
const poisonAt = 3

/** Expiry, poison, parked keys and early acknowledgement; most messages know none of them. */
export function beforehand(runtime: Runtime, settings: Settings, bring: ReturnType<typeof redelivery>) {
  const { clock } = runtime
  const atMostOnce = settings.guarantee === 'at-most-once'
  const parks = settings.onFailure === 'park'
  const always = atMostOnce || parks

  async function expired(task: Task): Promise<Brought> {
    const { replyTo, token, expiresAt } = task.arrival
    // A request whose asker has given up: nobody misses it.
    if (replyTo !== undefined) return task.session.settle(task, { token, verdict: 'ack' })
    return bring.put(task, 'expired', `expired at ${new Date(expiresAt ?? 0).toISOString()}`)
  }

  /** Whether an earlier message of its key is parked. */
  async function behindParked({ arrival }: Task): Promise<boolean> {
    if (!parks || arrival.key === undefined || runtime.keeper === undefined) return false
    return runtime.keeper.parked(arrival.topic, settings.group, arrival.key, arrival.id)
  }

  return {
    /** Whether there is anything to look at. */
    concerns: (task: Task): boolean => always || task.alone || task.arrival.expiresAt !== undefined,

    async go(task: Task): Promise<'go' | Brought> {
      const { arrival } = task
      if (arrival.expiresAt !== undefined && arrival.expiresAt <= clock.now()) return expired(task)
      if (task.alone) {
        if (bring.unsettledAlone(task) >= poisonAt) {
          runtime.alone.copyEnded(arrival.id)
          return bring.put(task, 'poison', `${poisonAt} starts alone were never settled: it ends or hangs its process`)
        }
        const marked = await bring.mark(task)
        if (marked !== 'go') return marked
        task.marked = true
      }
      if (await behindParked(task)) return bring.follow(task)
      if (!atMostOnce) return 'go'
      const settled = await task.session.settle(task, { token: arrival.token, verdict: 'ack' })
      return settled === 'ok' ? 'go' : settled
    },

    /** A start that was marked has ended. */
    async afterwards(task: Task, brought: Brought): Promise<void> {
      task.marked = false
      runtime.alone.copyEnded(task.arrival.id)
      if (typeof brought === 'object') await bring.unmark(task)
    },
  }
}
