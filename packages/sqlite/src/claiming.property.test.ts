import type { Arrival, Driver, Settlement, Source } from '@posthorn/core/driver'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { connected, freshPath, membership, message, never, steeredClock, topicOf } from '../test/stage.ts'

const leaseMs = 1_000

type Step =
  | { readonly do: 'send'; readonly key: number; readonly count: number }
  | { readonly do: 'receive'; readonly member: number; readonly max: number }
  | {
      readonly do: 'settle'
      readonly member: number
      readonly pick: number
      readonly how: 'ack' | 'back' | 'fail' | 'later'
    }
  | { readonly do: 'extend'; readonly member: number; readonly every: number }
  | { readonly do: 'pass'; readonly ms: number }
  | { readonly do: 'leave'; readonly member: number }

const member = fc.nat({ max: 2 })
const steps = fc.array(
  fc.oneof(
    fc.record({ do: fc.constant('send' as const), key: fc.nat({ max: 2 }), count: fc.integer({ min: 1, max: 4 }) }),
    fc.record({ do: fc.constant('receive' as const), member, max: fc.integer({ min: 1, max: 6 }) }),
    fc.record({
      do: fc.constant('settle' as const),
      member,
      pick: fc.nat({ max: 9 }),
      how: fc.constantFrom('ack' as const, 'ack' as const, 'back' as const, 'fail' as const, 'later' as const),
    }),
    fc.record({ do: fc.constant('extend' as const), member, every: fc.integer({ min: 1, max: 3 }) }),
    fc.record({ do: fc.constant('pass' as const), ms: fc.constantFrom(10, 300, 1_100) }),
    fc.record({ do: fc.constant('leave' as const), member }),
  ),
  { minLength: 20, maxLength: 120 },
) as fc.Arbitrary<Step[]>

interface Sent {
  readonly id: string
  readonly key: string | undefined
  acked: boolean
  hand: number | undefined
  starts: number
}

/** A group with three members, and beside it what must be true of it. */
class World {
  readonly clock = steeredClock()
  readonly topic = topicOf('t', { groups: [{ name: 'g', order: 'key', filter: undefined }], keyed: true })
  readonly sent: Sent[] = []
  readonly members: { source: Source; hand: Arrival[] }[] = []
  readonly driver: Driver
  constructor(driver: Driver, clock: ReturnType<typeof steeredClock>) {
    this.driver = driver
    this.clock = clock
  }

  async open(): Promise<{ source: Source; hand: Arrival[] }> {
    return { source: await this.driver.open(membership(this.topic, { order: 'key', window: 8 }), never), hand: [] }
  }

  async send(key: number, count: number): Promise<void> {
    const messages = Array.from({ length: count }, () =>
      // One in three has no key, and no order.
      message('t', 'x', { key: key === 2 ? undefined : `k${key}` }),
    )
    await this.driver.send(messages, { signal: never })
    for (const { id, key } of messages) this.sent.push({ id, key, acked: false, hand: undefined, starts: 0 })
  }

  async receive(at: number, max: number): Promise<number> {
    const { source, hand } = this.members[at] as World['members'][number]
    const stop = new AbortController()
    const receiving = source.receive(max, stop.signal)
    for (let turns = 0; turns < 4; turns++) await new Promise((resolve) => setImmediate(resolve))
    stop.abort()
    const got = await receiving
    for (const arrival of got) {
      const place = this.sent.findIndex(({ id }) => id === arrival.id)
      const found = this.sent[place] as Sent
      expect(found.acked, 'what was acknowledged came again').toBe(false)
      expect(found.hand, 'it is in two hands').toBeUndefined()
      if (found.key !== undefined)
        for (const earlier of this.sent.slice(0, place))
          if (earlier.key === found.key && !earlier.acked)
            expect(earlier.hand, 'a key was overtaken, or is in two hands').toBe(at)
      found.hand = at
      expect(arrival.deliveryCount, 'starts are counted').toBe(++found.starts)
      hand.push(arrival)
    }
    return got.length
  }

  async settle(at: number, pick: number, how: 'ack' | 'back' | 'fail' | 'later'): Promise<void> {
    const { source, hand } = this.members[at] as World['members'][number]
    if (hand.length === 0) return
    const arrival = hand[pick % hand.length] as Arrival
    const { token } = arrival
    // As core does: what follows in the key goes back with it.
    const behind = how === 'ack' ? [] : hand.filter((each) => each.key !== undefined && each.key === arrival.key)
    const batch: Settlement[] =
      how === 'ack'
        ? [{ token, verdict: 'ack' }]
        : [
            ...behind
              .filter((each) => each !== arrival)
              .map((each) => ({ token: each.token, verdict: 'nack' }) as const),
            how === 'back'
              ? { token, verdict: 'nack' }
              : { token, verdict: 'nack', failures: 1, history: [], afterMs: how === 'later' ? 200 : undefined },
          ]
    // Of a key only the first may be acknowledged: core settles a key in its order.
    if (how === 'ack' && arrival.key !== undefined && hand.find(({ key }) => key === arrival.key) !== arrival) return
    expect(await source.settle(batch)).toEqual(batch.map(() => 'ok'))
    for (const settlement of batch) {
      const index = hand.findIndex((each) => each.token === settlement.token)
      const [gone] = hand.splice(index, 1)
      const found = this.sent.find(({ id }) => id === gone?.id) as Sent
      found.hand = undefined
      if (settlement.verdict === 'ack') found.acked = true
      else if (settlement.failures === undefined) found.starts--
    }
  }

  pass(ms: number): void {
    this.clock.advance(ms)
    for (const each of this.members) {
      for (const arrival of each.hand)
        if (arrival.lost?.reason !== undefined) (this.sent.find(({ id }) => id === arrival.id) as Sent).hand = undefined
      each.hand = each.hand.filter(({ lost }) => lost?.reason === undefined)
    }
  }

  async leave(at: number): Promise<void> {
    const { source, hand } = this.members[at] as World['members'][number]
    await source.close()
    for (const { id } of hand) {
      const found = this.sent.find((each) => each.id === id) as Sent
      found.hand = undefined
      found.starts--
    }
    this.members[at] = await this.open()
  }
}

async function play(list: readonly Step[]): Promise<void> {
  const clock = steeredClock()
  const driver = await connected({ path: freshPath(), leaseMs, synchronous: 'normal' }, 5_000, clock)
  const world = new World(driver, clock)
  await driver.declare(world.topic, never)
  for (let n = 0; n < 3; n++) world.members.push(await world.open())
  for (const step of list) {
    if (step.do === 'send') await world.send(step.key, step.count)
    else if (step.do === 'receive') await world.receive(step.member, step.max)
    else if (step.do === 'settle') await world.settle(step.member, step.pick, step.how)
    else if (step.do === 'pass') world.pass(step.ms)
    else if (step.do === 'leave') await world.leave(step.member)
    else {
      const { source, hand } = world.members[step.member] as World['members'][number]
      const some = hand.filter((_, n) => n % step.every === 0)
      expect(await source.extend?.(some.map(({ token }) => token))).toEqual(some.map(() => 'ok'))
    }
  }
  // Whatever happened, everything comes to an end, in order.
  world.pass(2 * leaseMs)
  for (let n = 1; n < 3; n++) await world.leave(n)
  for (let rounds = 0; world.sent.some(({ acked }) => !acked); rounds++) {
    expect(rounds, 'something never comes').toBeLessThan(200)
    await world.receive(0, 8)
    while ((world.members[0]?.hand.length ?? 0) > 0) await world.settle(0, 0, 'ack')
  }
  expect((await driver.lag(world.topic, 'g', never)).backlog).toBe(0)
  expect(driver.client.database.prepare('SELECT count(*) AS n FROM posthorn_delivery').get()).toEqual({ n: 0 })
  expect(driver.client.database.prepare('SELECT count(*) AS n FROM posthorn_claim').get()).toEqual({ n: 0 })
  await driver.close()
}

test('whatever members do, a key is in one hand, in order, starts are counted, and everything comes', async () => {
  await fc.assert(fc.asyncProperty(steps, play), { seed: 20_261_121, numRuns: 150 })
}, 120_000)
