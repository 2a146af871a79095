import { dataVersion, type Sql } from './sql.ts'
import { endOf, findTopic, type TopicRow } from './topic-rows.ts'

/** The end of a topic's log, where the next message goes; moved on by who puts one there. */
export interface End {
  readonly topic: TopicRow
  /** The last `seq` that was given. */
  seq: number
  /** Of the last message; times of a topic never fall, so that a time is found by halving. */
  at: number
  prioritized: boolean
}

/**
 * The ends of topics, kept between the transactions of one handle: most of what a single send would have to read. What other handles commit is
 * noticed by itself; whatever else this handle does to topics, and any roll-back, must be followed by `forget`.
 */
export interface Ends {
  /** Undefined where nobody declared the topic. Asked within a write transaction only. */
  of(ns: string, name: string): End | undefined
  /** A new transaction: others may have written since the last. */
  begin(): void
  forget(): void
}

/** Knows nothing yet. */
export function endsOf(sql: Sql): Ends {
  const known = new Map<string, Map<string, End>>()
  let checked = false
  let version: number | undefined
  const check = (): void => {
    checked = true
    const now = dataVersion(sql)
    if (now !== version) known.clear()
    version = now
  }
  return {
    of(ns, name) {
      if (!checked) check()
      let names = known.get(ns)
      if (names === undefined) {
        names = new Map()
        known.set(ns, names)
      }
      const found = names.get(name)
      if (found !== undefined) return found
      const topic = findTopic(sql, ns, name)
      if (topic === undefined) return undefined
      const end: End = { topic, ...endOf(sql, topic), prioritized: topic.priority }
      // Reply addresses come and go; a service has few topics that stay.
      if (!topic.reply) names.set(name, end)
      return end
    },
    begin() {
      checked = false
    },
    forget: () => known.clear(),
  }
}
