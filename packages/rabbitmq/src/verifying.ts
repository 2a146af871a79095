import type { Clock, MessagingError, TopicSpec } from '@posthorn/core/driver'
import { translated } from './errors.ts'

/**
 * How often what a topic's groups need is looked at again while messages go to it. A queue that an operator removes takes its binding along,
 * and a message that still reaches another group is confirmed: until the next look it is missing in the one.
 */
export const recheckMs = 30_000

/** After a look that was for nothing the next who misses something waits so long. */
const hastyMs = 500

/** Looks again, now and then, at what was declared. */
export interface Verifying {
  /** It was declared just now. */
  declared(spec: TopicSpec): void
  /** Messages of a topic are sent. Looks again in the background when it is time. */
  sent(topic: string): void
  /** A message of a topic did not find what its groups need. Looks at once; false: nothing is known of it that could be made. */
  missed(topic: string): boolean
  forget(topic: string): void
  /** What the last look found, and could not mend. */
  readonly trouble: MessagingError | undefined
}

/** `declare` makes what is missing, or says what is. */
export function verifying(clock: Clock, declare: (spec: TopicSpec) => Promise<void>): Verifying {
  const topics = new Map<string, { readonly spec: TopicSpec; at: number }>()
  const troubles = new Map<string, MessagingError>()
  const look = async (spec: TopicSpec): Promise<void> => {
    try {
      await declare(spec)
      troubles.delete(spec.name)
    } catch (cause) {
      const error = translated(cause, `looking at topic ${spec.name} again`)
      // Who is away just now is heard of elsewhere.
      if (!error.retryable) troubles.set(spec.name, error)
    }
  }
  return {
    declared(spec) {
      topics.set(spec.name, { spec, at: clock.now() })
      troubles.delete(spec.name)
    },
    sent(topic) {
      const known = topics.get(topic)
      if (known === undefined) return
      const now = clock.now()
      if (now - known.at < recheckMs) return
      known.at = now
      void look(known.spec)
    },
    missed(topic) {
      const known = topics.get(topic)
      if (known === undefined || known.spec.groups.length === 0 || known.spec.on !== undefined) return false
      const now = clock.now()
      if (now - known.at >= hastyMs) {
        known.at = now
        void look(known.spec)
      }
      return true
    },
    forget(topic) {
      topics.delete(topic)
      troubles.delete(topic)
    },
    get trouble() {
      return [...troubles.values()][0]
    },
  }
}
