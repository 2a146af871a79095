import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { closing, type EchoBench, echoBench } from './echo.ts'

let echo: EchoBench
let proxy: EchoBench['proxy']
let client: EchoBench['client']
beforeEach(async () => {
  echo = await echoBench()
  proxy = echo.proxy
  client = echo.client
})
afterEach(() => echo.close())

describe('cut', () => {
  test.each([
    ['reset', 'ECONNRESET'],
    ['end', 'end'],
  ] as const)('now, by %s: the client sees %s', async (kind, seen) => {
    const one = await client()
    one.socket.write('x')
    await one.bytes(1)
    const [server] = echo.sockets
    const gone = closing(server)
    expect(proxy.cut(kind)).toBe(1)
    expect(await one.ended).toBe(seen)
    await gone
    await proxy.until((counts) => counts.open === 0 && counts.cut === 1)
    const two = await client()
    two.socket.write('again')
    expect(await two.bytes(5)).toBe('again')
  })
  test.each(['reset', 'end'] as const)(
    'after byte n of the requests, by %s: the server has exactly n',
    async (kind) => {
      const one = await client()
      const fired = proxy.cutAfter('up', 7, kind)
      one.socket.write('abcde')
      await one.bytes(5)
      one.socket.write('fghij')
      expect(await fired).toBe(true)
      await one.ended
      expect(echo.got.join('')).toBe('abcdefg')
    },
  )
  test.each([0, 3])('after byte %i of the answers: the client has exactly so many', async (n) => {
    const one = await client()
    const fired = proxy.cutAfter('down', n)
    one.socket.write('abcdefgh')
    expect(await fired).toBe(true)
    expect(await one.ended).toBe('ECONNRESET')
    expect(one.text()).toBe('abcdefgh'.slice(0, n))
    expect(echo.got.join('')).toBe('abcdefgh')
  })
  test('counts each connection by itself and cuts only the first that gets there', async () => {
    const [one, two] = [await client(), await client()]
    const fired = proxy.cutAfter('up', 4)
    one.socket.write('123')
    await one.bytes(3)
    two.socket.write('1234')
    expect(await fired).toBe(true)
    await two.ended
    one.socket.write('4567')
    expect(await one.bytes(7)).toBe('1234567')
    expect(proxy.counts).toMatchObject({ open: 1, cut: 1 })
  })
  test('before the next answer: the server did it and the client never hears', async () => {
    const one = await client()
    one.socket.write('first')
    await one.bytes(5)
    const fired = proxy.cutBeforeAnswer()
    one.socket.write('second')
    expect(await fired).toBe(true)
    expect(await one.ended).toBe('ECONNRESET')
    expect(one.text()).toBe('first')
    expect(echo.got).toEqual(['first', 'second'])
  })
  test('before the next answer leaves what the server says unasked', async () => {
    const one = await client()
    one.socket.write('hi')
    await one.bytes(2)
    const fired = proxy.cutBeforeAnswer()
    const [server] = echo.sockets
    server?.write('news')
    expect(await one.bytes(6)).toBe('hinews')
    await proxy.restore()
    expect(await fired).toBe(false)
  })
  test('before the answer that is picked', async () => {
    const one = await client()
    const fired = proxy.cutBeforeAnswer({ when: (chunk) => chunk.includes('confirm'), kind: 'end' })
    one.socket.write('beat')
    await one.bytes(4)
    one.socket.write('confirm')
    expect(await fired).toBe(true)
    expect(await one.ended).toBe('end')
    expect(one.text()).toBe('beat')
  })
  test('that waits is called off by restore and by close', async () => {
    const restored = proxy.cutAfter('up', 10)
    await proxy.restore()
    expect(await restored).toBe(false)
    const closed = proxy.cutAfter('up', 10)
    await proxy.close()
    expect(await closed).toBe(false)
  })
})

describe('black hole', () => {
  test('both ways: bytes vanish, the connection stays open, restore resets it', async () => {
    const one = await client()
    one.socket.write('a')
    await one.bytes(1)
    proxy.blackHole()
    one.socket.write('lost')
    await proxy.until((counts) => counts.up.swallowed === 4)
    expect(one.socket.destroyed).toBe(false)
    expect(proxy.counts.open).toBe(1)
    await proxy.restore()
    expect(await one.ended).toBe('ECONNRESET')
    expect(echo.got).toEqual(['a'])
  })
  test('one way: requests arrive, answers are lost', async () => {
    const one = await client()
    proxy.blackHole('down')
    one.socket.write('did it')
    await proxy.until((counts) => counts.down.swallowed === 6)
    expect(echo.got).toEqual(['did it'])
    expect(one.text()).toBe('')
    expect(one.socket.destroyed).toBe(false)
  })
  test('the other way: what the server says arrives, requests are lost', async () => {
    const one = await client()
    one.socket.write('a')
    await one.bytes(1)
    proxy.blackHole('up')
    const [server] = echo.sockets
    server?.write('news')
    expect(await one.bytes(5)).toBe('anews')
    one.socket.write('lost')
    await proxy.until((counts) => counts.up.swallowed === 4)
    expect(echo.got).toEqual(['a'])
  })
  test('a connection that lost nothing goes on', async () => {
    const one = await client()
    proxy.blackHole()
    await proxy.restore()
    one.socket.write('still here')
    expect(await one.bytes(10)).toBe('still here')
  })
  test('the server never hears that the client went', async () => {
    const one = await client()
    one.socket.write('a')
    await one.bytes(1)
    const [server] = echo.sockets
    proxy.blackHole()
    one.socket.resetAndDestroy()
    await one.ended
    const two = await client()
    two.socket.write('nobody')
    await proxy.until((counts) => counts.up.swallowed === 6)
    expect(server?.destroyed).toBe(false)
    expect(echo.sockets.size).toBe(1)
    const gone = closing(server)
    await proxy.restore()
    await gone
    expect(await two.ended).toBe('ECONNRESET')
  })
})
