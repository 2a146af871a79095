// What a sender takes back is not written; what was written is not taken back.
import { describe, expect, test } from 'vitest'
import { clients, connect, log, message, name, proxied, topicOf, until } from './stand.ts'

const topic = topicOf({ partitions: 1 })

describe.each(clients)('%s behind the port', (client) => {
  test('nobody there: a message is taken back and its batch may be tried again', { timeout: 60_000 }, async () => {
    const namespace = name()
    const direct = await connect(namespace, { client })
    await direct.declare(topic, AbortSignal.timeout(10_000))
    const proxy = await proxied()
    const driver = await connect(namespace, { client, brokers: `127.0.0.1:${proxy.port}` })
    await driver.send([message(0)], { signal: AbortSignal.timeout(10_000) })
    proxy.refuse()
    proxy.cut()
    // The first try may still find the connection that is just ending.
    await driver.send([message(1)], { signal: AbortSignal.timeout(500) })
    const batch = [message(2), message(3)]
    const sending = driver.send(batch, { signal: AbortSignal.timeout(20_000) })
    await until('a try that wrote nothing', () => driver.withdraw?.(batch, batch[1] as (typeof batch)[0]) === true)
    const back = { ok: false, error: { code: 'unavailable', outcome: 'failed', retryable: true } }
    expect(await sending).toMatchObject([back, back])
    expect(driver.withdraw?.(batch, batch[0] as (typeof batch)[0])).toBe(false)
    await proxy.restore()
    expect(await driver.send([message(4)], { signal: AbortSignal.timeout(20_000) })).toMatchObject([{ ok: true }])
    expect((await log(direct, topic)).filter((text) => text !== '1')).toEqual(['0', '4'])
  })

  test('written and not answered: not taken back', { timeout: 60_000 }, async () => {
    const namespace = name()
    const proxy = await proxied()
    const driver = await connect(namespace, { client, brokers: `127.0.0.1:${proxy.port}` })
    await driver.declare(topic, AbortSignal.timeout(10_000))
    await driver.send([message(0)], { signal: AbortSignal.timeout(10_000) })
    const before = proxy.counts.up.passed
    proxy.freeze('down')
    const batch = [message(1)]
    const sending = driver.send(batch, { signal: AbortSignal.timeout(20_000) })
    await proxy.until(({ up }) => up.passed > before)
    expect(driver.withdraw?.(batch, batch[0] as (typeof batch)[0])).toBe(false)
    await proxy.restore()
    expect(await sending).toMatchObject([{ ok: true }])
    expect(await log(driver, topic)).toEqual(['0', '1'])
  })
})
