import assert from 'node:assert/strict'
import { extension, type Wheel } from '@posthorn/core/driver'
import { but } from '../../defects/place.ts'
import { broker, calls, refused, topicFor } from '../broker-stage.ts'
import { changedAdapter } from '../outcome.ts'
import type { Chapter } from '../scenario.ts'
import type { Stage } from '../stage.ts'

/** As `newestFirst()` of the patterns asks core for it. */
const newest = () => extension('newest', (next) => next, { newest: { asideMs: 60_000 } })

/** What waits, and in which order it goes. */
export const backlog: Chapter = {
  name: 'backlog',
  layer: 'broker',
  scenarios: [
    {
      id: 'backlog.drain',
      says: 'lag says how long a steady handler will need for what waits, within a tenth',
      run: drains,
    },
    {
      id: 'backlog.newest-first',
      says: 'where the newest are to start first, of what is in hand the one that was sent last starts',
      async run(stage) {
        const arrived = arrivals(stage)
        const one = await broker({ ...stage, adapter: arrived.adapter })
        const orders = topicFor<number>(stage)
        const gate = Promise.withResolvers<void>()
        const seen = calls<number>(stage, async () => {
          await gate.promise
          return undefined
        })
        await one.consume(
          orders,
          { group: 'g', order: 'none', concurrency: 1, window: 20, use: [newest()] },
          seen.handler,
        )
        const send = async (n: number): Promise<void> => {
          await one.producer().send(orders, n)
          // A sender's clock counts whole ms.
          await stage.pass(2)
        }
        await send(0)
        await seen.reached(1)
        for (let n = 1; n <= 8; n++) await send(n)
        await stage.until('all are in hand', () => arrived.count() >= 9)
        gate.resolve()
        await seen.reached(9)
        assert.deepEqual(seen.bodies, [0, 8, 7, 6, 5, 4, 3, 2, 1])
      },
    },
    {
      id: 'backlog.newest-or-order',
      says: 'newest first is refused where a key must keep its order',
      async run(stage) {
        const one = await broker(stage)
        const keyed = topicFor<string>(stage, { key: (body) => body })
        await refused(
          'unsupported',
          () => one.consume(keyed, { group: 'g', use: [newest()] }, async () => {}),
          /newestFirst\(\).*order: 'none'/,
        )
      },
    },
    {
      id: 'backlog.gives-way',
      says: 'a consumer that an extension pauses rests until that lets it go on, whatever its user says; it is told the backlog of other groups',
      async run(stage) {
        const one = await broker(stage)
        const [orders, others] = [topicFor<string>(stage), topicFor<string>(stage)]
        let wheel: Wheel | undefined
        const steering = extension('steering', (next) => next, {
          steer(_, given) {
            wheel = given
          },
        })
        const seen = calls<string>(stage)
        const consumer = await one.consume(orders, { group: 'g', use: [steering] }, seen.handler)
        await one.producer().send(orders, 'before')
        await seen.reached(1)
        await one.producer().send(others, 'burst')
        await stage.until('the others are seen to wait', async () => (await wheel?.backlog(others, 'g')) === 1)
        wheel?.pause()
        await consumer.pause()
        await consumer.resume()
        await one.producer().send(orders, 'meanwhile')
        await seen.noMore()
        wheel?.resume()
        await seen.reached(2)
      },
    },
  ],
}

/** The adapter, and how many deliveries it has given. */
function arrivals(stage: Stage) {
  let count = 0
  const adapter = changedAdapter(stage.adapter, (plan) => ({
    ...plan,
    async connect(context) {
      const driver = await plan.connect(context)
      return but(driver, {
        async open(subscription, signal) {
          const source = await driver.open(subscription, signal)
          return but(source, {
            async receive(max, until) {
              const given = await source.receive(max, until)
              count += given.length
              return given
            },
          })
        },
      })
    },
  }))
  return { adapter, count: () => count }
}

/**
 * The pace is set by a metronome, and measured here, too: a machine that stands still for a moment changes what is true, not whether it is told. What the
 * question itself takes is no error: meanwhile both is true.
 */
async function drains(stage: Stage): Promise<void> {
  const [messages, sampleFrom, sampleTo] = [400, 40, 200]
  const one = await broker(stage)
  const orders = topicFor<number>(stage)
  let done = 0
  const waiting: (() => void)[] = []
  const beat = setInterval(() => {
    for (const go of waiting.splice(0, 2)) go()
  }, 10)
  stage.after(async () => clearInterval(beat))
  await one.producer().sendBatch(
    orders,
    Array.from({ length: messages }, (_, n) => ({ body: n })),
  )
  await one.consume(orders, { group: 'g', order: 'none', concurrency: 8, window: 8 }, async () => {
    await new Promise<void>((resolve) => waiting.push(resolve))
    done++
  })
  const moment = () => ({ at: stage.now(), done })
  const asked = async () => {
    const from = moment()
    const { drainMs = Number.NaN } = await one.lag(orders, { group: 'g' })
    return { drainMs, from, to: moment() }
  }
  await stage.until('the handler is at its pace', () => done >= sampleFrom)
  const first = await asked()
  await stage.until('half is done', () => done >= sampleTo)
  const { drainMs, from, to } = await asked()
  await stage.until('all is done', () => done === messages)
  // What it counted is of a moment between the question and its answer, which on a busy machine lie apart.
  const least = ((messages - to.done) * (from.at - first.to.at)) / (to.done - first.from.done)
  const most = ((messages - from.done) * (to.at - first.from.at)) / (from.done - first.to.done)
  assert.ok(drainMs >= least * 0.9 && drainMs <= most * 1.1, `${drainMs} ms were told, ${least} to ${most} were true`)
}
