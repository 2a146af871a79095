// What must be settled of a message before its handler may start.
import type { Runtime } from '../broker/runtime.ts'
import { type Brought, type redelivery, secondThoughtMs } from './redelivery.ts'
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

  /** Behind an earlier message of its key that is parked; undefined where there is none. While nobody can tell, it waits: it has not started, and costs no try. */
  async function behindParked(task: Task): Promise<Brought | undefined> {
    const { topic, key, id } = task.arrival
    if (!parks || key === undefined || runtime.keeper === undefined) return undefined
    try {
      if (!(await runtime.keeper.parked(topic, settings.group, key, id))) return undefined
    } catch {
      return { waitMs: secondThoughtMs }
    }
    return bring.follow(task)
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
      const behind = await behindParked(task)
      if (behind !== undefined) return behind
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
