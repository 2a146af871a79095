import type { Source, Subscription } from '@posthorn/core/driver'
import { closed } from './errors.ts'
import { Handed } from './handed.ts'
import { heldFrom, seqOf, topicsOf } from './log.ts'
import { refusing, type SourceHost } from './source.ts'
import type { Entry } from './topic.ts'
import { coverOf, matcher, nameOf } from './topology.ts'

/** Reads history once, alone; copies to one group are not part of it. `to` is the last that is read. */
export function openReplay(host: SourceHost, subscription: Subscription): Source {
  const { source, from, to, report } = subscription
  const matches = matcher(subscription.filter)
  const topics = topicsOf(host.space, source, coverOf(source))
  const last = typeof to === 'object' && 'position' in to ? seqOf(to.position) : Number.POSITIVE_INFINITY
  const within = ({ at, seq }: Entry): boolean => {
    if (to === 'earliest') return false
    return typeof to === 'object' && 'time' in to ? at <= to.time : seq <= last
  }
  let entries = refusing(report, source, () => heldFrom(topics, from)).filter(
    (entry) => entry.message.group === undefined && within(entry) && matches(entry.message),
  )
  let next = 0
  let over = false
  const self: Source = {
    async receive(max, signal) {
      if (over) throw closed(`the replay of ${nameOf(source)}`)
      if (signal.aborted) return []
      host.space.log.activity++
      const out = entries.slice(next, next + max).map((entry) => new Handed(entry, undefined, undefined, 0))
      next += out.length
      return out
    },
    settle: async (batch) => batch.map(() => 'ok' as const),
    async seek(to) {
      entries = refusing(report, source, () => heldFrom(topics, to)).filter(
        (entry) => entry.message.group === undefined,
      )
      next = 0
    },
    async close() {
      over = true
      entries = []
      host.ended(self)
    },
  }
  return self
}
