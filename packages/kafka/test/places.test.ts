// What a group keeps while members are away: the place of a named process, and how the group is read.
import type { Arrival, Source } from '@posthorn/core/driver'
import { describe, expect, test } from 'vitest'
import { bodies, clients, connect, eat, message, name, open, receive, topicOf, until } from './stand.ts'

const topic = topicOf()
const signal = (): AbortSignal => AbortSignal.timeout(20_000)
const many = (count: number, from = 0) =>
  Array.from({ length: count }, (_, n) => message(from + n, { key: `k${(from + n) % 16}` }))

/** What each of two gets of so many messages. */
async function shared(count: number, one: Source, two: Source): Promise<readonly [Arrival[], Arrival[]]> {
  const got: [Arrival[], Arrival[]] = [[], []]
  await until(`all ${count} came`, async () => {
    const more = await Promise.all([eat(one, count, 300), eat(two, count, 300)])
    for (const [i, each] of more.entries()) got[i]?.push(...each)
    return got[0].length + got[1].length >= count
  })
  return got
}

describe.each(clients)('%s', (client) => {
  test('a process with an instance id finds its partitions again, and meanwhile nobody has them', {
    timeout: 90_000,
  }, async () => {
    const namespace = name()
    const of = (instanceId?: string) => connect(namespace, { client, instanceId })
    const [first, other] = [await of('one'), await of('two')]
    await first.declare(topic, signal())
    const leaving = await open(first, topic)
    const staying = await open(other, topic)
    let [ours, theirs] = [new Set<string>(), new Set<string>()]
    await until('both have a share, and keep it', async () => {
      const before = theirs
      await first.send(many(64), { signal: signal() })
      const [a, b] = await shared(64, leaving, staying)
      ours = new Set(a.map(({ key }) => key ?? ''))
      theirs = new Set(b.map(({ key }) => key ?? ''))
      return ours.size > 0 && theirs.size > 0 && [...theirs].sort().join() === [...before].sort().join()
    })
    await first.close()
    await other.send(many(64), { signal: signal() })
    const meanwhile = await eat(staying, many(64).filter(({ key }) => theirs.has(key ?? '')).length)
    expect(new Set(meanwhile.map(({ key }) => key))).toEqual(theirs)
    expect(await eat(staying, 1, 2_000)).toEqual([])
    const back = await open(await of('one'), topic)
    const again = await eat(back, 64 - meanwhile.length)
    expect(new Set(again.map(({ key }) => key))).toEqual(ours)
    expect(meanwhile.length + again.length).toBe(64)
    expect(await eat(staying, 1, 500)).toEqual([])
  })

  test('who has the instance id of another process throws it out once, and is not thrown out in turn', {
    timeout: 60_000,
  }, async () => {
    const namespace = name()
    const [first, second] = [
      await connect(namespace, { client, instanceId: 'same' }),
      await connect(namespace, { client, instanceId: 'same' }),
    ]
    await first.declare(topic, signal())
    const old = await open(first, topic)
    const young = await open(second, topic)
    await expect(old.receive(1, signal())).rejects.toMatchObject({
      code: 'invalid',
      message: expect.stringContaining('by the instance id same'),
    })
    await old.close()
    await expect(open(first, topic)).rejects.toMatchObject({ code: 'invalid' })
    await second.send(many(8), { signal: signal() })
    expect(await eat(young, 8)).toHaveLength(8)
  })

  test('two consumers of one process in one group have two places', { timeout: 60_000 }, async () => {
    const driver = await connect(name(), { client, instanceId: 'one' })
    await driver.declare(topic, signal())
    const [one, two] = [await open(driver, topic), await open(driver, topic)]
    await driver.send(many(64), { signal: signal() })
    const [a, b] = await shared(64, one, two)
    expect(a.length + b.length).toBe(64)
    expect(Math.min(a.length, b.length)).toBeGreaterThan(0)
  })

  test('rule 20: how a group is read is kept after its last member has left', { timeout: 60_000 }, async () => {
    const namespace = name()
    const driver = await connect(namespace, { client })
    await driver.declare(topic, signal())
    await driver.send(many(3), { signal: signal() })
    const filter = { tag: 'paid' }
    const first = await open(driver, topic, { order: 'key', filter })
    await receive(first, 1)
    await first.close()
    await expect(open(driver, topic, { order: 'none', filter })).rejects.toMatchObject({
      code: 'invalid',
      message: expect.stringMatching(/order key .* order none/),
    })
    await expect(open(driver, topic, { order: 'key', filter: { tag: 'due' } })).rejects.toMatchObject({
      code: 'invalid',
      message: expect.stringMatching(/"paid".*"due".*kafka-consumer-groups.sh --delete/),
    })
    const again = await open(driver, topic, { order: 'key', filter })
    expect(bodies(await eat(again, 3)).sort()).toEqual(['0', '1', '2'])
  })
})
