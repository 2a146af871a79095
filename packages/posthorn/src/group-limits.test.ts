// What a group shares through the store, and what it is told about its backlog, on every transport.
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'
import { ensure } from '../../../scripts/brokers/lifecycle.ts'
import { type Broker, connect, rateLimit, topic } from './index.ts'

const folder = mkdtempSync(join(tmpdir(), 'posthorn-group-'))
afterAll(() => rmSync(folder, { recursive: true }))

/** Connections of several processes to one broker, with one store. */
async function connections(name: string): Promise<() => Promise<Broker>> {
  const file = `sqlite:${join(folder, `${name}-${process.hrtime.bigint()}.db`)}`
  const url = name === 'sqlite' ? file : await ensure(name)
  const beside = { namespace: `group${Date.now()}`, store: file, singleHost: true }
  return () => connect(url, { log: false, ...(name === 'sqlite' ? {} : beside) })
}

describe.each(['sqlite', 'rabbitmq', 'kafka'])('on %s', (name) => {
  it('rateLimit({ scope: group }) counts the starts of all members together', { timeout: 60_000 }, async () => {
    const open = await connections(name)
    const work = topic<number>('work', { groups: ['g'], partitions: 4 })
    const [perSecond, burst, messages] = [40, 5, 60]
    const starts: { readonly at: number; readonly by: number }[] = []
    const members = await Promise.all([open(), open()])
    for (const [by, member] of members.entries())
      await member.consume(
        work,
        { group: 'g', order: 'none', window: 8, use: [rateLimit({ perSecond, burst, scope: 'group' })] },
        async () => void starts.push({ at: Date.now(), by }),
      )
    await members[0]?.producer().sendBatch(
      work,
      Array.from({ length: messages }, (_, n) => ({ body: n, partition: n % 4 })),
    )
    await expect.poll(() => starts.length, { timeout: 40_000 }).toBe(messages)
    // From any start on, no more than the burst and what the time since has given; a token is taken a moment before its start.
    for (const [i, first] of starts.entries())
      for (const [j, last] of starts.entries()) {
        if (j <= i) continue
        const given = burst + ((last.at - first.at) * perSecond) / 1_000
        expect(j - i + 1, `starts ${i} to ${j}`).toBeLessThanOrEqual(Math.ceil(given) + members.length + 1)
      }
    expect(new Set(starts.map(({ by }) => by)).size).toBe(2)
    await Promise.all(members.map((member) => member.close()))
  })

  it('lag says how many wait, and how fast they go within a tenth', { timeout: 60_000 }, async () => {
    const open = await connections(name)
    const work = topic<number>('work', { groups: ['g'], partitions: 4 })
    const [reader, watcher] = [await open(), await open()]
    const messages = 600
    let handled = 0
    let allowed = 0
    const waiting: (() => void)[] = []
    const allow = (more: number): void => {
      allowed += more
      for (const go of waiting.splice(0)) go()
    }
    await reader.consume(work, { group: 'g', order: 'none', concurrency: 8, window: 8 }, async () => {
      while (handled >= allowed) await new Promise<void>((resolve) => waiting.push(resolve))
      handled++
    })
    await reader.producer().sendBatch(
      work,
      Array.from({ length: messages }, (_, n) => ({ body: n })),
    )
    /** A question, and between which times it was answered. */
    const asked = async () => {
      const after = Date.now()
      const lag = await reader.lag(work, { group: 'g' })
      return { after, lag, before: Date.now() }
    }
    const near = ({ backlog }: { readonly backlog: number }): boolean =>
      Math.abs(backlog - (messages - handled)) <= (messages - handled) / 10
    // On RabbitMQ another process does not see what is in hand, only what waits.
    const settled = (upTo: number) =>
      expect
        .poll(async () => [handled, near(await watcher.lag(work, { group: 'g' }))], { timeout: 20_000 })
        .toEqual([upTo, true])
    allow(100)
    await settled(100)
    // Shorter than this is no sample of a rate.
    const began = Date.now()
    await expect.poll(() => Date.now() - began).toBeGreaterThan(250)
    const first = await asked()
    allow(300)
    await settled(400)
    await expect.poll(() => Date.now() - first.before).toBeGreaterThan(250)
    const last = await asked()
    expect(near(last.lag), `${last.lag.backlog}`).toBe(true)
    const [slowest, fastest] = [last.before - first.after, last.after - first.before].map((ms) => (300 * 1_000) / ms)
    expect(last.lag.ratePerSecond).toBeGreaterThan((slowest as number) * 0.9)
    expect(last.lag.ratePerSecond).toBeLessThan((fastest as number) * 1.1)
    expect(last.lag.drainMs).toBeCloseTo((last.lag.backlog * 1_000) / last.lag.ratePerSecond, 3)
    allow(messages)
    await Promise.all([reader.close(), watcher.close()])
  })
})
