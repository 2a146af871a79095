import type { Dispatch, Driver, SendControl, SendResult } from '@posthorn/core/driver'
import { MessagingError } from '@posthorn/core/driver'
import { aborted } from './errors.ts'
import type { Hub } from './hub.ts'
import { type Place, place } from './log.ts'
import type { SourceHost } from './source.ts'
import { openTransaction } from './transaction.ts'
import type { Work } from './writer.ts'

/** The sending half of a driver. */
export type Sending = Required<Pick<Driver, 'send' | 'withdraw'>>

/** Batches wait in the writer's queue; what is taken out of one there is left out when it is written. */
export function sendingTo(host: SourceHost & Place): Sending {
  const { hub, clock } = host
  const withdrawn = new WeakMap<readonly Dispatch[], Set<Dispatch>>()
  const written = (work: Work, batch: readonly Dispatch[]): readonly SendResult[] => {
    const gone = withdrawn.get(batch)
    if (gone === undefined) return place(work, host, batch, clock.now())
    const results = place(
      work,
      host,
      batch.filter((message) => !gone.has(message)),
      clock.now(),
    )
    let next = 0
    return batch.map(
      (message): SendResult =>
        gone.has(message) ? { ok: false, error: aborted(`message ${message.id}`) } : (results[next++] as SendResult),
    )
  }
  return {
    // No promise but the writer's own: who sends one by one waits for each.
    send(batch, control) {
      if (control.signal.aborted) return Promise.reject(aborted('the send'))
      if (batch.length === 0) return Promise.resolve([])
      if (control.atomic === true || control.tx !== undefined) return sendTogether(hub, batch, control, written)
      let bytes = 0
      for (const { body } of batch) bytes += body.byteLength
      return hub.writer.write((work) => written(work, batch), { signal: control.signal, bytes, of: batch })
    },
    withdraw(batch, message) {
      if (!hub.writer.holds(batch)) return false
      withdrawn.set(batch, (withdrawn.get(batch) ?? new Set()).add(message))
      return true
    },
  }
}

/** All of these or none. */
async function sendTogether(
  hub: Hub,
  batch: readonly Dispatch[],
  { signal, tx }: SendControl,
  written: (work: Work, batch: readonly Dispatch[]) => readonly SendResult[],
): Promise<readonly SendResult[]> {
  const together = (work: Work): readonly SendResult[] => {
    const results = written(work, batch)
    const bad = results.find((each) => !each.ok)
    if (bad !== undefined && !bad.ok) throw new Refused(results, bad.error)
    return results
  }
  try {
    if (tx !== undefined) return together(await openTransaction(tx, hub.path).work())
    return await hub.writer.write(together, { signal, of: batch })
  } catch (error) {
    if (error instanceof Refused) return error.results
    throw error
  }
}

/** Takes an atomic batch back of which one message was refused. */
class Refused extends MessagingError {
  readonly results: readonly SendResult[]
  constructor(results: readonly SendResult[], cause: MessagingError) {
    super('aborted', 'another message of the same atomic batch was refused, so this was not sent', { cause })
    this.results = results.map((result) => (result.ok ? { ok: false, error: this } : result))
  }
}
