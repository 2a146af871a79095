// What a group shares through the store, on every transport.
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
    // Until both have had a turn: a member of Kafka's that has just come may still wait for its share.
    for (let sent = 0; new Set(starts.map(({ by }) => by)).size < 2; sent += messages) {
      await members[0]?.producer().sendBatch(
        work,
        Array.from({ length: messages }, (_, n) => ({ body: n, partition: n % 4 })),
      )
      await expect.poll(() => starts.length, { timeout: 20_000 }).toBe(sent + messages)
    }
    // From any start on, no more than the burst and what the time since has given; a token is taken a moment before its start.
    for (const [i, first] of starts.entries())
      for (const [j, last] of starts.entries()) {
        if (j <= i) continue
        const given = burst + ((last.at - first.at) * perSecond) / 1_000
        expect(j - i + 1, `starts ${i} to ${j}`).toBeLessThanOrEqual(Math.ceil(given) + members.length + 1)
      }
    await Promise.all(members.map((member) => member.close()))
  })

  it('concurrency: { group } counts the handlers of all members together', { timeout: 60_000 }, async () => {
    const open = await connections(name)
    const work = topic<number>('work', { groups: ['g'], partitions: 4 })
    const [messages, group] = [60, 2]
    let inside = 0
    let most = 0
    let done = 0
    const by = new Set<number>()
    const members = await Promise.all([open(), open()])
    for (const [n, member] of members.entries())
      await member.consume(work, { group: 'g', order: 'none', concurrency: { process: 4, group } }, async () => {
        most = Math.max(most, ++inside)
        by.add(n)
        await new Promise((resolve) => setTimeout(resolve, 10))
        inside--
        done++
      })
    const send = (from: number, to: number) =>
      members[0]?.producer().sendBatch(
        work,
        Array.from({ length: to - from }, (_, n) => ({ body: n, partition: n % 4 })),
      )
    // Until both have had a turn: who is first keeps its slots for a while.
    for (let sent = 0; by.size < 2 || sent < messages; sent += messages) {
      await send(sent, sent + messages)
      await expect.poll(() => done, { timeout: 20_000 }).toBe(sent + messages)
    }
    expect(most).toBe(group)
    await Promise.all(members.map((member) => member.close()))
  })
})
