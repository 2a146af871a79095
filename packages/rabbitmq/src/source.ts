import type { Arrival, Failure, MessagingError, Settled, Settlement, Source, Subscription } from '@posthorn/core/driver'
import { mailbox } from '@posthorn/core/driver'
import { closed } from './errors.ts'
import { marksIn, type NoteStore } from './marks.ts'
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

/** What a source needs of its driver. */
export interface SourceHost {
  /** Puts a message into the queue once more, with the tries that it has used up, and answers whether the broker holds it. */
  again(queue: string, arrival: Arrival, failures: number, history: readonly Failure[]): Promise<boolean>
  /** Where order forbids that, they are remembered here as long as this process lives. */
  readonly tries: Tries
  /** Where starts alone are noted: only where order forbids that a copy takes the message's place. */
  readonly notes?: NoteStore | undefined
  /** It was closed. */
  ended(source: OpenSource): void
}

/** Tries of ordered messages, by queue and id. */
export type Tries = Map<string, { readonly failures: number; readonly history: readonly Failure[] }>

/** Most of them; the oldest go first. */
const mostTries = 10_000

/** A subscription at work. */
export interface OpenSource extends Source {
  readonly subscription: Subscription
  /** Deliveries that the broker does not count as waiting any more, and that are not settled. */
  readonly unsettled: number
  /** Undefined while deliveries can flow. */
  readonly trouble: MessagingError | undefined
}

/** Opens a source. */
export async function openSource(
  subscription: Subscription,
  open: OpenReading,
  { again, tries, notes, ended }: SourceHost,
): Promise<OpenSource> {
  const box = mailbox<Arrival>()
  let trouble: MessagingError | undefined
  let closing: Promise<void> | undefined
  const marks = notes === undefined ? undefined : marksIn(notes, box.push)
  const reading = await open(marks?.arrived ?? box.push, (error) => {
    trouble ??= error
    // What nobody took goes with the channel: the broker gives it out again.
    box.drain()
    box.fail(error)
  })

  const settleOne = (how: Settlement, touched: Tap[]): Settled => {
    const { tap, tag, arrival } = how.token as Token
    if (!tap.note(tag, how.verdict)) return 'stale'
    tap.handed--
    // Nearly always that of the settlement before.
    if (touched.at(-1) !== tap && !touched.includes(tap)) touched.push(tap)
    if (!tap.single || arrival === undefined) return 'ok'
    // It has ended, and nobody waits to hear that this is noted.
    if (how.verdict === 'nack' && marks?.has(arrival) === true) marks.change(arrival, -1).catch(() => {})
    const name = `${tap.queue}\n${arrival.id}`
    if (how.verdict === 'ack') tries.delete(name)
    else if (how.failures !== undefined) {
      tries.delete(name)
      tries.set(name, { failures: how.failures, history: how.history ?? [] })
      if (tries.size > mostTries) for (const oldest of tries.keys()) return drop(oldest)
    }
    return 'ok'
  }
  const drop = (name: string): Settled => {
    tries.delete(name)
    return 'ok'
  }
  /** RabbitMQ cannot change a message that it gives out again: a copy with the tries goes into the queue, then this one is done. */
  const sendBack = async (settlement: Settlement & { readonly verdict: 'nack' }, touched: Tap[]): Promise<Settled> => {
    const { tap, tag, arrival } = settlement.token as Token
    if (arrival === undefined || !tap.claim(tag)) return 'stale'
    const held = await again(tap.queue, arrival, settlement.failures ?? 0, settlement.history ?? [])
    tap.letGo(tag)
    return settleOne({ token: settlement.token, verdict: held ? 'ack' : 'nack' }, touched)
  }

  const change = async (token: unknown, by: 1 | -1): Promise<Settled> => {
    const { tap, arrival } = token as Token
    // A start that cannot be noted is not counted: what is counted is a lower bound.
    if (!tap.dead && arrival !== undefined) await marks?.change(arrival, by).catch(() => false)
    return tap.dead ? 'stale' : 'ok'
  }

  const source: OpenSource = {
    subscription,
    ...(marks === undefined
      ? {}
      : { mark: (token: unknown) => change(token, 1), unmark: (token: unknown) => change(token, -1) }),
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
          const tried = tries.size > 0 && tap.single ? tries.get(`${tap.queue}\n${arrival.id}`) : undefined
          arrivals[given++] = tried === undefined ? arrival : { ...arrival, ...tried }
        }
        arrivals.length = given
        if (given > 0 || signal.aborted) return arrivals
      }
    },
    async settle(batch) {
      const touched: Tap[] = []
      const answers: Settled[] = new Array(batch.length)
      const copies: Promise<unknown>[] = []
      for (let i = 0; i < batch.length; i++) {
        const each = batch[i] as Settlement
        if (each.verdict === 'nack' && each.failures !== undefined && !(each.token as Token).tap.single)
          copies.push(
            sendBack(each, touched).then((settled) => {
              answers[i] = settled
            }),
          )
        else answers[i] = settleOne(each, touched)
      }
      if (copies.length > 0) await Promise.all(copies)
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
