import { type Arrival, type Dispatch, planOf, type Source, type TopicSpec } from '@posthorn/core/driver'
import { plainMessage } from '@posthorn/testkit'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { memory } from './index.ts'

const keys = ['a', 'b', 'c'] as const
const leaseMs = 1_000
const step = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.record({ do: fc.constant('send' as const), key: fc.constantFrom(...keys), who: fc.nat(2) }),
  },
  { weight: 5, arbitrary: fc.record({ do: fc.constant('receive' as const), key: fc.constant('a'), who: fc.nat(2) }) },
  { weight: 5, arbitrary: fc.record({ do: fc.constant('ack' as const), key: fc.constant('a'), who: fc.nat(2) }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('fail' as const), key: fc.constant('a'), who: fc.nat(2) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('return' as const), key: fc.constant('a'), who: fc.nat(2) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('close' as const), key: fc.constant('a'), who: fc.nat(2) }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('extend' as const), key: fc.constant('a'), who: fc.nat(2) }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('wait' as const), key: fc.constant('a'), who: fc.nat(2) }) },
)

interface Hand {
  source: Source
  held: Arrival[]
}

test('whatever three members do, a key is in one hand, its messages are acknowledged in order, and none is lost', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 60, maxLength: 200 }), async (steps) => {
      const plan = planOf(memory({ clock: 'manual', leaseMs }))
      const { signal } = new AbortController()
      const driver = await plan.connect({
        namespace: '',
        topology: 'declare',
        connectTimeoutMs: 1_000,
        clock: plan.clock ?? expect.fail('memory brings its clock'),
        clientId: 'p',
        report: () => {},
        signal,
      })
      const topic: TopicSpec = {
        name: 't',
        partitions: 2,
        groups: [],
        retentionMs: undefined,
        keyed: true,
        priority: undefined,
        on: undefined,
      }
      await driver.declare(topic, signal)
      const open = async (who: number): Promise<Hand> => ({
        source: await driver.open(
          {
            source: topic,
            mode: 'shared',
            group: 'g',
            member: `m${who}`,
            order: 'key',
            window: 6,
            from: 'earliest',
            filter: undefined,
            report: () => {},
          },
          signal,
        ),
        held: [],
      })
      const hands = [await open(0), await open(1), await open(2)]
      const sent = new Map<string, number>()
      const acked = new Map<string, number[]>(keys.map((key) => [key, []]))
      const receive = async (hand: Hand): Promise<void> => {
        // What is there, or nothing: an abort loses none.
        const stop = new AbortController()
        const asked = hand.source.receive(4, stop.signal)
        stop.abort()
        const got = await asked
        hand.held.push(...got)
        for (const other of hands)
          if (other !== hand)
            for (const mine of got)
              expect(
                other.held.some((each) => each.key === mine.key && each.lost?.reason === undefined),
                'two hands hold a key',
              ).toBe(false)
      }
      const settle = async (hand: Hand, settlement: object): Promise<Arrival | undefined> => {
        const arrival = hand.held.shift()
        if (arrival === undefined) return undefined
        const [answer] = await hand.source.settle([{ token: arrival.token, ...settlement } as never])
        return answer === 'ok' ? arrival : undefined
      }
      const ack = async (hand: Hand): Promise<void> => {
        const done = await settle(hand, { verdict: 'ack' })
        if (done !== undefined) acked.get(done.key ?? '')?.push(Number(done.id))
      }
      for (const { do: what, key, who } of steps) {
        const hand = hands[who] as Hand
        if (what === 'send') {
          const n = sent.get(key) ?? 0
          sent.set(key, n + 1)
          await driver.send([message(key, n)], { signal })
        } else if (what === 'receive') await receive(hand)
        else if (what === 'ack') await ack(hand)
        else if (what === 'fail') await settle(hand, { verdict: 'nack', failures: 1, history: [], afterMs: 100 })
        else if (what === 'return') await settle(hand, { verdict: 'nack' })
        else if (what === 'wait') await driver.client.advance(who === 0 ? leaseMs / 2 : 60)
        // One that is extended must not outlive one of its key that is not.
        else if (what === 'extend') await hand.source.extend?.(hand.held.slice(-1).map(({ token }) => token))
        else {
          await hand.source.close()
          hands[who] = await open(who)
        }
      }
      // In the end one member takes what is left.
      await Promise.all(hands.map(({ source }) => source.close()))
      await driver.client.advance(leaseMs)
      const last = await open(9)
      hands.splice(0, 3, last)
      const total = [...sent.values()].reduce((sum, n) => sum + n, 0)
      for (let round = 0; round < 200 && [...acked.values()].flat().length < total; round++) {
        await receive(last)
        while (last.held.length > 0) await ack(last)
      }
      for (const key of keys) expect(acked.get(key)).toEqual(Array.from({ length: sent.get(key) ?? 0 }, (_, n) => n))
      await driver.close()
    }),
    { seed: 20_261_121, numRuns: 100 },
  )
})

const message = (key: string, n: number): Dispatch => plainMessage({ id: `${n}`, key, body: Buffer.from(`${n}`) })
