import { once } from 'node:events'
import { connect, createServer, type Server, type Socket } from 'node:net'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { type FaultProxy, faultProxy } from './proxy.ts'

/** A server that sends everything back and keeps what it got. */
interface Echo {
  readonly server: Server
  readonly port: number
  readonly got: string[]
  readonly sockets: Set<Socket>
}

let echo: Echo
let proxy: FaultProxy
const clients: Client[] = []

async function echoServer(): Promise<Echo> {
  const got: string[] = []
  const sockets = new Set<Socket>()
  const server = createServer((socket) => {
    sockets.add(socket)
    socket.on('close', () => sockets.delete(socket))
    socket.on('error', () => {})
    socket.on('data', (chunk) => {
      got.push(chunk.toString())
      socket.write(chunk)
    })
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return { server, port: (server.address() as { port: number }).port, got, sockets }
}

/** A client that keeps what it got and how it ended. */
interface Client {
  readonly socket: Socket
  readonly text: () => string
  /** Resolves when so many bytes have come. */
  readonly bytes: (count: number) => Promise<string>
  /** `ECONNRESET` and the like, or `end`. */
  readonly ended: Promise<string>
}

const closing = (socket: Socket | undefined): Promise<void> =>
  new Promise((resolve) => socket?.on('close', () => resolve()))

async function client(port = proxy.port): Promise<Client> {
  const socket = connect(port, '127.0.0.1')
  let text = ''
  let code = 'end'
  socket.on('data', (chunk) => {
    text += chunk.toString()
    socket.emit('some')
  })
  socket.on('error', (error: NodeJS.ErrnoException) => {
    code = error.code ?? 'error'
  })
  const ended = new Promise<string>((resolve) => socket.on('close', () => resolve(code)))
  const made: Client = {
    socket,
    text: () => text,
    async bytes(count) {
      while (text.length < count) await once(socket, 'some')
      return text
    },
    ended,
  }
  clients.push(made)
  await Promise.race([new Promise<void>((resolve) => socket.on('connect', () => resolve())), ended])
  return made
}

beforeEach(async () => {
  echo = await echoServer()
  proxy = await faultProxy({ to: { host: '127.0.0.1', port: echo.port } })
})
afterEach(async () => {
  for (const each of clients.splice(0)) each.socket.destroy()
  await proxy.close()
  for (const socket of echo.sockets) socket.destroy()
  echo.server.close()
})

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
