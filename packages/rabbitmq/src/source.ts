import type { Arrival, MessagingError, Settled, Source, Subscription } from '@posthorn/core/driver'
import { mailbox } from '@posthorn/core/driver'
import { closed } from './errors.ts'
import type { Tap, Token } from './tap.ts'

/** What a source reads from. */
export interface Reading {
  readonly taps: readonly Tap[]
  settled?(tap: Tap): void
  close(): Promise<void>
}

/** What opens the queues behind a source: gets the place for arrivals, and whom to tell that it is over. */
export type OpenReading = (
  arrived: (arrival: Arrival) => void,
  died: (error: MessagingError) => void,
) => Promise<Reading>

/** A subscription at work. */
export interface OpenSource extends Source {
  readonly subscription: Subscription
  /** Deliveries that the broker does not count as waiting any more, and that are not settled. */
  readonly unsettled: number
  /** Undefined while deliveries can flow. */
  readonly trouble: MessagingError | undefined
}

/** Opens a source; `ended` hears that it was closed. */
export async function openSource(
  subscription: Subscription,
  open: OpenReading,
  ended: (source: OpenSource) => void,
): Promise<OpenSource> {
  const box = mailbox<Arrival>()
  let trouble: MessagingError | undefined
  let closing: Promise<void> | undefined
  const reading = await open(box.push, (error) => {
    trouble ??= error
    // What nobody took goes with the channel: the broker gives it out again.
    box.drain()
    box.fail(error)
  })

  const source: OpenSource = {
    subscription,
    get trouble() {
      return trouble
    },
    get unsettled() {
      return reading.taps.reduce((sum, tap) => sum + tap.unsettled, 0)
    },
    async receive(max, signal) {
      for (;;) {
        if (closing !== undefined) throw closed(`the source of ${subscription.group}`)
        const arrivals = await box.take(max, signal)
        let given = 0
        for (const arrival of arrivals) {
          const { tap } = arrival.token as Token
          if (!tap.giving || tap.dead) continue
          tap.handed++
          arrivals[given++] = arrival
        }
        arrivals.length = given
        if (given > 0 || signal.aborted) return arrivals
      }
    },
    async settle(batch) {
      const touched = new Set<Tap>()
      const answers: Settled[] = new Array(batch.length)
      for (const [i, { token, verdict }] of batch.entries()) {
        const { tap, tag } = token as Token
        if (tap.note(tag, verdict)) {
          tap.handed--
          touched.add(tap)
          answers[i] = 'ok'
        } else answers[i] = 'stale'
      }
      for (const tap of touched) {
        if (!tap.flush()) takeBack(batch, answers, tap)
        reading.settled?.(tap)
      }
      return answers
    },
    close() {
      closing ??= reading.close().then(() => {
        box.drain()
        box.fail(closed(`the source of ${subscription.group}`))
        ended(source)
      })
      return closing
    },
  }
  return source
}

/** Nothing of it could be written: the broker gives all of it out again. */
function takeBack(batch: readonly { readonly token: unknown }[], answers: Settled[], tap: Tap): void {
  for (const [i, { token }] of batch.entries()) if ((token as Token).tap === tap) answers[i] = 'stale'
}
