import type { ConsumeExtension, Delivery, Verdict } from '@posthorn/core'

/** One start of a handler, without what differs from run to run and from broker to broker. */
export interface TranscriptLine {
  readonly topic: string
  readonly group: string
  readonly key: string | undefined
  readonly body: unknown
  readonly attempt: number
  /** What the handler answered, or `threw`. */
  readonly verdict: Verdict['verdict'] | 'threw'
}

/** What handlers were given and what they said, to hold one transport against another. */
export interface Transcript {
  /** Goes into `use` of a broker or a consumer, as the last: it sees what the handler sees. */
  readonly extension: ConsumeExtension
  /** In the order of their ends. */
  readonly lines: readonly TranscriptLine[]
  /** As text, sorted by topic, group and key; within a key in the order in which it was handled. Keyless messages are sorted by body. */
  normalised(): string
}

/** An empty transcript. */
export function transcript(): Transcript {
  const lines: TranscriptLine[] = []
  const note = (delivery: Delivery, verdict: TranscriptLine['verdict']): void => {
    const { topic, group, key, body, attempt } = delivery
    lines.push({ topic, group, key, body, attempt, verdict })
  }
  return {
    lines,
    extension: {
      name: 'transcript',
      consume: (next) => async (delivery) => {
        let verdict: Verdict
        try {
          verdict = await next(delivery)
        } catch (error) {
          note(delivery, 'threw')
          throw error
        }
        note(delivery, verdict.verdict)
        return verdict
      },
    },
    normalised() {
      const place = ({ topic, group, key }: TranscriptLine): string => JSON.stringify([topic, group, key ?? null])
      const shown = ({ topic, group, key, body, attempt, verdict }: TranscriptLine): string =>
        `${topic} ${group} ${key ?? '-'} ${JSON.stringify(body)} ${attempt} ${verdict}`
      const places = new Map<string, string[]>()
      for (const line of lines) {
        const list = places.get(place(line)) ?? []
        places.set(place(line), list)
        list.push(shown(line))
      }
      return [...places]
        .sort(([a], [b]) => (a < b ? -1 : 1))
        .flatMap(([where, list]) => (where.endsWith(',null]') ? list.sort() : list))
        .join('\n')
    },
  }
}
