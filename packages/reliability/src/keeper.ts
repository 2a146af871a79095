import type { Keeper, KeeperContext } from '@posthorn/core/driver'
import { type HeldState, MessagingError, partsOf } from '@posthorn/core/driver'
import { halves } from './half.ts'
import { parking } from './parking.ts'
import { relaying } from './relay.ts'
import { outboxLane, readyRow, refOf, spoolLane } from './rows.ts'
import { spoolBook } from './spool.ts'

/** Opens the keeper of a store: outbox, schedule, spool, half messages and parked keys are states of one kind of row. */
export function openKeeper(context: KeeperContext): Keeper {
  const { clock, store, topicOf } = context
  const { held } = partsOf(store)
  if (held === undefined)
    throw new MessagingError(
      'unsupported',
      `the ${store.name} store holds no messages; use one that does, such as sqlite:./data/app.db`,
    )
  const spooled = spoolBook(held, clock)
  const relay = relaying(held, context, (row) => spooled.left(row))
  const half = halves(held, context)
  const park = parking(held, context)
  return {
    async hold(messages, as, tx) {
      const now = clock.now()
      const laneOf = {
        outbox: outboxLane,
        schedule: () => undefined,
        spool: ({ topic, key }) => spoolLane(topic, key),
      } satisfies Record<typeof as, (message: (typeof messages)[number]) => string | undefined>
      const rows = messages.map((message) => readyRow(message, topicOf(message.topic), laneOf[as](message), now))
      if (as === 'spool') await spooled.put(rows, () => held.insert(rows, tx))
      else await held.insert(rows, tx)
    },
    spooled: (topic, key) => spooled.has(spoolLane(topic, key)),
    async cancel(id, topic, tx) {
      const ref = refOf({ id, topic })
      for (const state of ['ready', 'prepared'] as const)
        if (await held.change(ref, { state }, undefined, tx)) return 'cancelled'
      return (await held.get(ref, tx)) === undefined ? 'unknown' : 'too-late'
    },
    async reschedule(id, topic, notBefore, tx) {
      const ref = refOf({ id, topic })
      if (await held.change(ref, { state: 'ready' }, { state: 'ready', dueAt: notBefore }, tx)) return 'rescheduled'
      return (await held.get(ref, tx)) === undefined ? 'unknown' : 'too-late'
    },
    prepare: half.prepare,
    check(topic, check) {
      if (half.checks.has(topic))
        throw new MessagingError(
          'invalid',
          `checkHalf(${topic}): somebody answers for this topic already; end that first`,
        )
      half.checks.set(topic, check)
      return () => void half.checks.delete(topic)
    },
    checks: (topic) => half.checks.has(topic),
    park: park.park,
    parked: park.parked,
    handledParked: park.handled,
    parkedOf: park.of,
    release: park.release,
    discardParked: park.discard,
    async waiting() {
      const count = (state: HeldState): Promise<number> => held.count(state)
      const [ready, prepared, parked, due] = await Promise.all([
        count('ready'),
        count('prepared'),
        count('parked'),
        held.nextDue('ready'),
      ])
      const overdue = due === undefined ? 0 : clock.now() - due
      return { ready, prepared, parked, oldestMs: overdue > 0 ? overdue : undefined }
    },
    async close() {
      spooled.close()
      await Promise.all([relay.close(), half.close(), park.close()])
    },
  }
}
