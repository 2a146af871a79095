// What a consumer does that begins while the broker is away, or loses its source: waits for what may come back, and does not vanish in silence where nothing will.
import { expect, it } from 'vitest'
import { manualClock } from '../../test/manual-clock.ts'
import { sourcesOnly } from '../../test/sending-rig.ts'
import { connectAdapter } from '../broker/connect.ts'
import type { Clock } from '../driver/clock.ts'
import type { Source } from '../driver/seam.ts'
import { type ErrorCode, MessagingError } from '../errors.ts'
import { topic } from '../topic.ts'

const gone = new MessagingError('unavailable', 'the connection is gone')

/** A broker whose sources end when the test says so, and open unless it gives a reason. */
async function broker(clock?: Clock) {
  const lines: string[] = []
  let refusal: MessagingError | undefined
  let asked = 0
  let opened = 0
  const ends: (() => void)[] = []
  const open = async (): Promise<Source> => {
    asked++
    if (refusal !== undefined) throw refusal
    opened++
    return {
      receive: (_, signal) =>
        new Promise((resolve, reject) => {
          ends.push(() => reject(gone))
          signal.addEventListener('abort', () => resolve([]), { once: true })
        }),
      settle: async (batch) => batch.map(() => 'ok'),
      close: async () => {},
    }
  }
  const made = await connectAdapter(sourcesOnly('lost', open, clock), { log: (line) => void lines.push(line) })
  return {
    broker: made,
    lines,
    get asked() {
      return asked
    },
    get opened() {
      return opened
    },
    /** The source ends; the next is refused so, or opens. */
    lose(code?: ErrorCode) {
      refusal = code === undefined ? undefined : new MessagingError(code, `refused as ${code}`)
      for (const end of ends.splice(0)) end()
    },
    admit() {
      refusal = undefined
    },
  }
}
const orders = topic<number>('orders')

it('health says why it does not flow while its source cannot be opened again, and no more once it can', async () => {
  const rig = await broker()
  await rig.broker.consume(orders, { group: 'g' }, async () => {})
  rig.lose('unavailable')
  await expect
    .poll(() => rig.broker.health())
    .toEqual({
      ok: false,
      checks: [{ name: 'consumer orders of group g', ok: false, detail: 'refused as unavailable' }],
    })
  rig.admit()
  await expect.poll(() => rig.opened).toBe(2)
  await expect.poll(async () => (await rig.broker.health()).ok).toBe(true)
  await rig.broker.close()
})

it('one whose rights were taken asks seldom, says why, and goes on when they are given back', async () => {
  const clock = manualClock()
  const rig = await broker(clock)
  const { done } = await rig.broker.consume(orders, { group: 'g' }, async () => {})
  rig.lose('unauthorized')
  await clock.advance(100)
  expect(rig.asked).toBe(2)
  expect(rig.lines).toEqual([
    expect.stringMatching(
      /group g may not read orders any more and asks again, now and then: .*refused as unauthorized/,
    ),
  ])
  await clock.advance(600_000)
  // Never twice within five seconds, and at least once a minute.
  expect(rig.asked).toBeGreaterThan(12)
  expect(rig.asked).toBeLessThan(30)
  expect(rig.lines.length).toBe(1)
  expect(await rig.broker.health()).toEqual({
    ok: false,
    checks: [{ name: 'consumer orders of group g', ok: false, detail: 'refused as unauthorized' }],
  })
  rig.admit()
  await clock.advance(60_000)
  expect(rig.opened).toBe(2)
  expect((await rig.broker.health()).ok).toBe(true)
  await rig.broker.close()
  await done
})

it('one that had to give up is not forgotten by health before another begins in its place', async () => {
  const rig = await broker()
  const { done } = await rig.broker.consume(orders, { group: 'g' }, async () => {})
  rig.lose('invalid')
  await expect(done).rejects.toMatchObject({ code: 'invalid' })
  expect(await rig.broker.health()).toEqual({
    ok: false,
    checks: [
      {
        name: 'consumer orders of group g',
        ok: false,
        detail: 'it has ended: MessagingError: refused as invalid',
      },
    ],
  })
  rig.admit()
  await rig.broker.consume(orders, { group: 'g' }, async () => {})
  expect((await rig.broker.health()).ok).toBe(true)
  await rig.broker.close()
})

it('one that begins while the broker is away has the patience that connecting has, then is refused with the reason', async () => {
  const clock = manualClock()
  const rig = await broker(clock)
  rig.lose('unavailable')
  const early = rig.broker.consume(orders, { group: 'g' }, async () => {})
  await clock.advance(3_000)
  rig.admit()
  await clock.advance(5_000)
  await early
  rig.lose('unavailable')
  const inVain = rig.broker.consume(orders, { group: 'h' }, async () => {})
  inVain.catch(() => {})
  await clock.advance(9_000)
  const asked = rig.asked
  await clock.advance(10_000)
  expect(rig.asked).toBeGreaterThan(asked)
  await expect(inVain).rejects.toMatchObject({ code: 'unavailable', message: 'refused as unavailable' })
  const refused = rig.broker.consume(orders, { group: 'i' }, async () => {})
  rig.lose('unauthorized')
  await expect(refused).rejects.toMatchObject({ code: 'unauthorized' })
  await rig.broker.close()
})

it('the patience of one that begins is one, for its topic and for its source together, and ends on time', async () => {
  const clock = manualClock()
  const begin = clock.now()
  const away = async (): Promise<never> => Promise.reject(gone)
  const adapter = sourcesOnly('away', away, clock, async () => {
    if (clock.now() < begin + 8_000) throw gone
  })
  const one = await connectAdapter(adapter, { log: false })
  let endedAfterMs: number | undefined
  const inVain = one.consume(orders, { group: 'g' }, async () => {})
  inVain.catch(() => {
    endedAfterMs = clock.now() - begin
  })
  await clock.advance(30_000)
  await expect(inVain).rejects.toBe(gone)
  expect(endedAfterMs).toBe(10_000)
  await one.close()
})

it('one that begins while the broker is away ends with its signal, or with the broker', async () => {
  const clock = manualClock()
  const rig = await broker(clock)
  rig.lose('unavailable')
  const given = new AbortController()
  const aborted = rig.broker.consume(orders, { group: 'g', signal: given.signal }, async () => {})
  const closed = rig.broker.consume(orders, { group: 'h' }, async () => {})
  closed.catch(() => {})
  await clock.advance(100)
  given.abort()
  await expect(aborted).rejects.toMatchObject({ code: 'unavailable' })
  const closing = rig.broker.close()
  await clock.advance(60_000)
  await closing
  await expect(closed).rejects.toMatchObject({ code: 'unavailable' })
})
