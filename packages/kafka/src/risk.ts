import type { Clock } from '@posthorn/core/driver'
import type { ClusterMap } from './cluster.ts'
import { type Lane, partitionOf } from './lane.ts'
import { timeOf } from './starting.ts'

/** Looks whether retention comes near to what a group has not handled. */
export interface RiskWatch {
  /** Looks once; resolves with how long the next look can wait. */
  look(): Promise<number>
}

/** When no more than this share of a topic's retention is left, somebody should know. */
const danger = 1 / 4
const [mostMs, leastMs] = [60_000, 500]

/** Tells of each topic once, and again when it had been out of danger in between. */
export function riskWatch(
  { cluster, clock }: { readonly cluster: ClusterMap; readonly clock: Clock },
  lanes: () => readonly Lane[],
  tell: (topic: string, lostInMs: number) => void,
): RiskWatch {
  const told = new Set<string>()
  /** Until retention takes what is unfinished in one of these. */
  const leftOf = async (some: readonly Lane[], retentionMs: number): Promise<number> => {
    let left = Number.POSITIVE_INFINITY
    for (const each of some) {
      const { offset } = each.progress()
      if (offset >= (each.reading?.end ?? 0)) continue
      const time = await timeOf(cluster, partitionOf(each), offset)
      if (time !== undefined) left = Math.min(left, Math.max(0, time + retentionMs - clock.now()))
    }
    return left
  }
  return {
    async look() {
      const topics = new Map<string, Lane[]>()
      for (const each of lanes())
        topics.set(each.place.kafkaTopic, [...(topics.get(each.place.kafkaTopic) ?? []), each])
      let next = mostMs
      for (const [kafkaTopic, some] of topics) {
        const retentionMs = Number((await cluster.wire.settings(kafkaTopic)).get('retention.ms') ?? -1)
        if (!(retentionMs >= 0)) continue
        const left = await leftOf(some, retentionMs)
        next = Math.min(next, Math.max(leastMs, retentionMs / 20))
        if (left > retentionMs * danger) told.delete(kafkaTopic)
        else if (!told.has(kafkaTopic)) {
          told.add(kafkaTopic)
          tell((some[0] as Lane).place.topic, Math.round(left))
        }
      }
      return next
    },
  }
}
