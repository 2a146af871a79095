// Sends and settlements in one transaction: together or not at all, also when the owner of a partition froze in the middle.
import { describe, expect, test } from 'vitest'
import { bodies, clients, connect, eat, log, message, name, open, proxied, receive, topicOf } from './stand.ts'

const orders = topicOf({ partitions: 1 })
const bills = topicOf({ name: 'bills', partitions: 1 })
const signal = (): AbortSignal => AbortSignal.timeout(20_000)
const bill = (n: number) => message(n, { topic: 'bills' })

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
    const behind = await connect(namespace, { client, brokers: `127.0.0.1:${proxy.port}`, sessionTimeoutMs: 6_000 })
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
    expect(bodies(await receive(heir, 3, 9_000))).toEqual(['0'])
    expect(await log(direct, bills)).toEqual(['1', '2'])
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
    const behind = await connect(namespace, { client, brokers: `127.0.0.1:${proxy.port}`, sessionTimeoutMs: 6_000 })
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
    expect(await log(direct, bills)).toEqual(['0', '1'])
    expect(await eat(heir, 1, 500)).toEqual([])
  })
})
