import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { type EchoBench, echoBench } from './echo.ts'
import { faultProxy } from './proxy.ts'

let echo: EchoBench
let proxy: EchoBench['proxy']
let client: EchoBench['client']
beforeEach(async () => {
  echo = await echoBench()
  proxy = echo.proxy
  client = echo.client
})
afterEach(() => echo.close())

describe('with no fault', () => {
  test('bytes go by both ways and are counted', async () => {
    const one = await client()
    one.socket.write('hello')
    expect(await one.bytes(5)).toBe('hello')
    expect(proxy.counts).toMatchObject({ accepted: 1, open: 1, up: { passed: 5 }, down: { passed: 5 } })
  })
  test('a megabyte comes back whole, in order', async () => {
    const one = await client()
    const sent = Array.from({ length: 200_000 }, (_, i) => (i % 100_000).toString().padStart(6, '0')).join('')
    one.socket.write(sent)
    expect((await one.bytes(sent.length)) === sent).toBe(true)
  })
  test('a client that half closes still gets its answer, and then the end', async () => {
    const one = await client()
    one.socket.end('last')
    expect(await one.ended).toBe('end')
    expect(one.text()).toBe('last')
    await proxy.until((counts) => counts.open === 0)
  })
  test('the port is below the ephemeral range', () => {
    expect(proxy.port).toBeGreaterThan(11_000)
    expect(proxy.port).toBeLessThan(32_768)
  })
  test('a server that is not there resets the client', async () => {
    const nowhere = await faultProxy({ to: { host: '127.0.0.1', port: 1 } })
    const one = await client(nowhere.port)
    expect(await one.ended).toBe('ECONNRESET')
    expect(nowhere.counts.unreached).toBe(1)
    await nowhere.close()
  })
})

describe('slow', () => {
  test('latency holds each chunk back and keeps the order', async () => {
    const one = await client()
    proxy.latency(60, 'up')
    const start = performance.now()
    one.socket.write('a')
    setImmediate(() => one.socket.write('b'))
    expect(await one.bytes(2)).toBe('ab')
    expect(performance.now() - start).toBeGreaterThanOrEqual(60)
  })
  test('a drip gives so many bytes a second', async () => {
    const one = await client()
    proxy.drip(500, 'down')
    const start = performance.now()
    one.socket.write('x'.repeat(60))
    await one.bytes(60)
    // The first slice of ten comes at once.
    expect(performance.now() - start).toBeGreaterThanOrEqual(90)
  })
  test('restore lets go at once what waited', async () => {
    const one = await client()
    proxy.latency(3_600_000)
    one.socket.write('late')
    await proxy.restore()
    expect(await one.bytes(4)).toBe('late')
  })
  test('a frozen server loses nothing', async () => {
    const one = await client()
    proxy.freeze('up')
    one.socket.write('patience')
    await client()
    expect(echo.got).toEqual([])
    await proxy.restore()
    expect(await one.bytes(8)).toBe('patience')
  })
  test('a sender is not read on without bound', async () => {
    const [one, two] = [await client(), await client()]
    two.socket.write('.')
    await two.bytes(1)
    proxy.freeze('up')
    const chunk = Buffer.alloc(262_144)
    for (let i = 0; i < 256; i++) one.socket.write(chunk)
    for (let i = 2; i <= 200; i++) {
      for (const server of echo.sockets) server.write('.')
      await two.bytes(i)
    }
    expect(one.socket.writableLength).toBeGreaterThan(128 * 262_144)
    await proxy.restore()
    await proxy.until((counts) => counts.up.passed === 256 * 262_144 + 1)
  })
})

describe('refuse and close', () => {
  test('new connections are refused, open ones go on, restore takes them again on the same port', async () => {
    const one = await client()
    proxy.refuse()
    const two = await client()
    expect(await two.ended).toBe('ECONNREFUSED')
    one.socket.write('on')
    expect(await one.bytes(2)).toBe('on')
    await proxy.restore()
    const three = await client()
    three.socket.write('back')
    expect(await three.bytes(4)).toBe('back')
  })
  test('close leaves nothing open, in any weather, twice', async () => {
    const all = [await client(), await client()]
    proxy.blackHole()
    proxy.latency(3_600_000)
    for (const each of all) each.socket.write('x')
    await proxy.close()
    await proxy.close()
    expect(proxy.counts.open).toBe(0)
    await Promise.all(all.map((each) => each.ended))
    const late = await client()
    expect(await late.ended).toBe('ECONNREFUSED')
  })
  test('a state that does not come is said with the counts', async () => {
    await expect(proxy.until((counts) => counts.cut === 9, 10)).rejects.toThrow(/within 10 ms.*"cut":0/)
  })
})
