// Sends and settlements in one transaction: together or not at all, also when the owner of a partition froze in the middle.
import { once } from 'node:events'
import type { Driver } from '@posthorn/core/driver'
import { describe, expect, test } from 'vitest'
import { bodies, clients, connect, eat, log, message, name, open, proxied, receive, topicOf, until } from './stand.ts'

const orders = topicOf({ partitions: 1 })
const bills = topicOf({ name: 'bills', partitions: 1 })
const signal = (): AbortSignal => AbortSignal.timeout(20_000)
/** Resolves when the time of a call is up. */
const over = (deadline: AbortSignal): Promise<unknown> =>
  deadline.aborted ? Promise.resolve() : once(deadline, 'abort')
const bill = (n: number) => message(n, { topic: 'bills' })
/** The broker answers a commit before its markers are in the log, so a reader may be behind it by a moment: seen in one of twenty. */
async function logged(driver: Driver, expected: readonly string[]): Promise<void> {
  const there = async () => (await log(driver, bills)).sort()
  await until('all are there', async () => (await there()).length >= expected.length)
  expect(await there()).toEqual(expected)
}

describe.each(clients)('%s', (client) => {
  test('what was settled ahead of an unfinished message stays settled after a crash', { timeout: 60_000 }, async () => {
    const namespace = name()
    const direct = await connect(namespace, { client })
    for (const topic of [orders, bills]) await direct.declare(topic, signal())
    await direct.send(
      [0, 1, 2].map((n) => message(n)),
      { signal: signal() },
    )
    const proxy = await proxied()
    const behind = await connect(namespace, { client, brokers: `127.0.0.1:${proxy.port}`, sessionTimeoutMs: 3_000 })
    const owner = await open(behind, orders)
    const [, second, third] = await receive(owner, 3)
    for (const each of [second, third])
      await owner.atomic?.(
        [bill(Number(bodies(each === undefined ? [] : [each])[0]))],
        [{ token: each?.token, verdict: 'ack' }],
        signal(),
      )
    proxy.refuse()
    proxy.cut()
    // The offset stands at the first one; what lies above it is in the text beside it.
    const heir = await open(direct, orders)
    await direct.send([message(3)], { signal: signal() })
    expect(bodies(await receive(heir, 2))).toEqual(['0', '3'])
    await logged(direct, ['1', '2'])
  })

  test('a transaction that failed is undone, and its message comes again to who holds it', {
    timeout: 60_000,
  }, async () => {
    const namespace = name()
    const direct = await connect(namespace, { client })
    for (const topic of [orders, bills]) await direct.declare(topic, signal())
    await direct.send([message(0), message(1)], { signal: signal() })
    const proxy = await proxied()
    const behind = await connect(namespace, { client, brokers: `127.0.0.1:${proxy.port}` })
    const owner = await open(behind, orders)
    const [first] = await receive(owner, 1)
    proxy.freeze()
    const deadline = AbortSignal.timeout(500)
    const failed = owner.atomic?.([bill(0)], [{ token: first?.token, verdict: 'ack' }], deadline)
    const outcome = failed?.then(
      () => 'committed',
      () => 'undone',
    )
    await over(deadline)
    await proxy.restore()
    expect(await outcome).toBe('undone')
    const again = await receive(owner, 2)
    expect(bodies(again).sort()).toEqual(['0', '1'])
    for (const each of again)
      await owner.atomic?.([bill(Number(bodies([each])[0]))], [{ token: each.token, verdict: 'ack' }], signal())
    expect(await eat(owner, 1, 500)).toEqual([])
    await logged(direct, ['0', '1'])
  })

  test('a commit whose answer is lost counts once, whatever became of it', { timeout: 90_000 }, async () => {
    const namespace = name()
    const direct = await connect(namespace, { client })
    for (const topic of [orders, bills]) await direct.declare(topic, signal())
    const count = 4
    await direct.send(
      Array.from({ length: count }, (_, n) => message(n)),
      { signal: signal() },
    )
    const proxy = await proxied()
    const behind = await connect(namespace, { client, brokers: `127.0.0.1:${proxy.port}` })
    const owner = await open(behind, orders)
    let done = 0
    for (let turn = 0; done < count; turn++) {
      const [each] = await receive(owner, 1)
      if (each === undefined) throw new Error(`only ${done} of ${count} came`)
      // Answers stop at another moment of each transaction, until its time is up: in some it is the commit's that is missing. The last ones have all theirs.
      const stop = turn < 12 ? setTimeout(() => proxy.freeze('down'), turn * 4) : undefined
      const deadline = AbortSignal.timeout(turn < 12 ? 150 : 20_000)
      const going = owner.atomic?.([bill(Number(bodies([each])[0]))], [{ token: each.token, verdict: 'ack' }], deadline)
      const ended = going?.then(
        () => done++,
        () => undefined,
      )
      await Promise.race([ended, over(deadline)])
      clearTimeout(stop)
      await proxy.restore()
      await ended
    }
    expect(await eat(owner, 1, 500)).toEqual([])
    await logged(
      direct,
      Array.from({ length: count }, (_, n) => `${n}`),
    )
  })

  test('a frozen owner’s transaction is undone by the next owner, and counts once', { timeout: 60_000 }, async () => {
    const namespace = name()
    const direct = await connect(namespace, { client })
    for (const topic of [orders, bills]) await direct.declare(topic, signal())
    await direct.send(
      [0, 1].map((n) => message(n)),
      { signal: signal() },
    )
    const proxy = await proxied()
    const behind = await connect(namespace, { client, brokers: `127.0.0.1:${proxy.port}`, sessionTimeoutMs: 3_000 })
    const owner = await open(behind, orders)
    const [first, second] = await receive(owner, 2)
    await owner.atomic?.([bill(0)], [{ token: first?.token, verdict: 'ack' }], signal())
    proxy.freeze()
    const late = owner.atomic?.([bill(1)], [{ token: second?.token, verdict: 'ack' }], AbortSignal.timeout(25_000))
    const outcome = late?.then(
      () => 'committed',
      () => 'undone',
    )
    const heir = await open(direct, orders)
    const [again] = await receive(heir, 1, 20_000)
    expect(bodies(again === undefined ? [] : [again])).toEqual(['1'])
    await heir.atomic?.([bill(1)], [{ token: again?.token, verdict: 'ack' }], signal())
    await proxy.restore()
    expect(await outcome).toBe('undone')
    expect(await eat(heir, 1, 500)).toEqual([])
    await logged(direct, ['0', '1'])
  })
})
