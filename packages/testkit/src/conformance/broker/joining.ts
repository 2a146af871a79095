import assert from 'node:assert/strict'
import { type Broker, bytes, type Delivery, type Topic, topic } from '@posthorn/core'
import { broker, type Calls, calls, refused } from '../broker-stage.ts'
import type { Foreign } from '../harness.ts'
import type { Chapter, Scenario } from '../scenario.ts'
import type { Stage } from '../stage.ts'

/** Messages of others. */
export const joining: Chapter = {
  name: 'foreign messages',
  layer: 'broker',
  scenarios: [
    {
      id: 'joining.read',
      says: 'a message that another client wrote is handled: its body, its headers, an id that is the same on redelivery',
      needs: ['a foreign client'],
      run: async (stage) => {
        const { theirs, publish } = await theirsOn(stage)
        const one = await broker(stage)
        const seen = calls<Uint8Array>(stage, (_, nth) => {
          if (nth === 1) throw new Error('once more')
          return undefined
        })
        await one.consume(theirs, { group: 'g', order: 'none' }, seen.handler)
        await publish('hello', { colour: 'blue' })
        await seen.reached(2)
        const [first, second] = seen.all
        assert.equal(Buffer.from(first?.body ?? []).toString(), 'hello')
        assert.equal(first?.headers['colour'], 'blue')
        assert.equal(first?.id, second?.id)
        assert.ok((first?.id ?? '') !== '')
      },
    },
    {
      id: 'joining.rule-13-by',
      says: "rule 13: two copies of another client's message have one effect where idempotent({ by }) names the event",
      ...onTheirs(async ({ theirs, publish, one, seen, inbox }) => {
        await one.consume(theirs, { group: 'g', order: 'none', use: [inbox({ by: eventOf })] }, seen.handler)
        for (const event of ['a', 'a', 'b']) await publish('same', { event })
        await seen.reached(2)
        await seen.noMore()
        assert.deepEqual(seen.all.map(eventOf).sort(), ['a', 'b'])
      }),
    },
    {
      id: 'joining.rule-13-needs-by',
      says: "rule 13: without `by`, idempotent() on another's topic is refused at consume() where no position tells equal messages apart; elsewhere it handles each",
      ...onTheirs(async ({ stage, theirs, publish, one, seen, inbox }) => {
        const start = () => one.consume(theirs, { group: 'g', order: 'none', use: [inbox()] }, seen.handler)
        if (!stage.traits.history) {
          await refused('invalid', start, /idempotent\(\{ by \}\)/)
          await refused('invalid', () => one.consume(theirs, effects, seen.handler), /idempotent\(\{ by \}\)/)
          return
        }
        await start()
        for (let copy = 0; copy < 2; copy++) await publish('same', {})
        await seen.reached(2)
        await seen.noMore()
      }),
    },
  ],
}

type Inbox = NonNullable<NonNullable<Stage['harness']['parts']>['inbox']>

const effects = { group: 'g', order: 'none', guarantee: 'exactly-once-effects' } as const

const eventOf = ({ headers }: Delivery): string => headers['event'] ?? ''

/** Who reads a topic that somebody else owns. */
interface Reading extends Awaited<ReturnType<typeof theirsOn>> {
  readonly stage: Stage
  readonly one: Broker
  readonly seen: Calls<Uint8Array>
  readonly inbox: Inbox
}

/** What needs an inbox on such a topic. */
function onTheirs(run: (on: Reading) => Promise<void>): Pick<Scenario, 'needs' | 'run' | 'refused'> {
  return {
    needs: ['a foreign client', 'an inbox', 'a store'],
    run: async (stage) => {
      const inbox = stage.harness.parts?.inbox
      assert.ok(inbox !== undefined)
      await run({
        ...(await theirsOn(stage)),
        stage,
        one: await broker(stage),
        seen: calls<Uint8Array>(stage),
        inbox,
      })
    },
    refused: async (stage) => {
      const { theirs } = await theirsOn(stage)
      const one = await broker(stage)
      await refused('unsupported', () => one.consume(theirs, effects, async () => {}))
    },
  }
}

/** A topic that another client owns and writes to. */
async function theirsOn(stage: Stage): Promise<{
  readonly theirs: Topic<Uint8Array>
  readonly publish: (body: string, headers: Readonly<Record<string, string>>) => Promise<void>
}> {
  const foreign = stage.harness.foreign as Foreign
  const on = await foreign.prepare(stage.namespace)
  const theirs = topic<Uint8Array>(stage.name('legacy'), { codec: bytes, on: { [stage.harness.name]: on } as never })
  return { theirs, publish: (body, headers) => foreign.publish(on, Buffer.from(body), headers) }
}
