import type { Keeper, KeeperContext } from '@posthorn/core/driver'
import { type ClaimedRow, type Held, type HeldState, MessagingError, partsOf } from '@posthorn/core/driver'
import { halves } from './half.ts'
import { parking } from './parking.ts'
import { relaying } from './relay.ts'
import { outboxLane, readyRow, refOf, spoolLane } from './rows.ts'

/** Opens the keeper of a store: outbox, schedule, spool, half messages and parked keys are states of one kind of row. */
export function openKeeper(context: KeeperContext): Keeper {
  const { clock, store, topicOf } = context
  const { held } = partsOf(store)
  if (held === undefined)
    throw new MessagingError(
      'unsupported',
      `the ${store.name} store holds no messages; use one that does, such as sqlite:./data/app.db`,
    )
  const spooled = spoolBook(held)
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
      if (as === 'spool') for (const row of rows) spooled.came(row)
      await held.insert(rows, tx)
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
      await Promise.all([relay.close(), half.close(), park.close()])
    },
  }
}

/** Which lanes have something in the spool, so that a later message of the key can be told to join. Filled from the store at start. */
function spoolBook(held: Held) {
  const lanes = new Map<string, Set<string>>()
  const came = ({ ref, lane }: Pick<ClaimedRow, 'ref' | 'lane'>): void => {
    if (lane === undefined || !lane.startsWith('s:')) return
    const refs = lanes.get(lane) ?? new Set()
    lanes.set(lane, refs.add(ref))
  }
  const load = async (): Promise<void> => {
    for (let after: string | undefined; ; ) {
      const rows = await held.range({ state: 'ready', after, max: 1_000 })
      for (const row of rows) came(row)
      after = rows.at(-1)?.ref
      if (rows.length < 1_000) return
    }
  }
  load().catch(() => {})
  return {
    came,
    left({ ref, lane }: ClaimedRow): void {
      const refs = lane === undefined ? undefined : lanes.get(lane)
      if (refs?.delete(ref) === true && refs.size === 0) lanes.delete(lane as string)
    },
    has: (lane: string): boolean => lanes.has(lane),
  }
}
