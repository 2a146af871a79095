// A proxy before a server that echoes: what the proxy's tests stand on.
import { once } from 'node:events'
import { connect, createServer, type Socket } from 'node:net'
import { type FaultProxy, faultProxy } from './proxy.ts'

/** A client that keeps what it got and how it ended. */
export interface EchoClient {
  readonly socket: Socket
  readonly text: () => string
  /** Resolves when so many bytes have come. */
  readonly bytes: (count: number) => Promise<string>
  /** `ECONNRESET` and the like, or `end`. */
  readonly ended: Promise<string>
}

/** The proxy, and both sides of it. */
export interface EchoBench {
  readonly proxy: FaultProxy
  /** What the server got, chunk by chunk. */
  readonly got: readonly string[]
  /** The server's ends of its connections. */
  readonly sockets: ReadonlySet<Socket>
  client(port?: number): Promise<EchoClient>
  close(): Promise<void>
}

/** Resolves when the socket is closed, whatever the reason. */
export function closing(socket: Socket | undefined): Promise<void> {
  return new Promise((resolve) => socket?.on('close', () => resolve()))
}

/** Sets up a server that sends everything back, and a proxy before it. */
export async function echoBench(): Promise<EchoBench> {
  const got: string[] = []
  const sockets = new Set<Socket>()
  const clients: EchoClient[] = []
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
  const { port } = server.address() as { port: number }
  const proxy = await faultProxy({ to: { host: '127.0.0.1', port } })
  return {
    proxy,
    got,
    sockets,
    async client(to = proxy.port) {
      const made = await echoClient(to)
      clients.push(made)
      return made
    },
    async close() {
      for (const each of clients) each.socket.destroy()
      await proxy.close()
      for (const socket of sockets) socket.destroy()
      server.close()
    },
  }
}

async function echoClient(port: number): Promise<EchoClient> {
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
  await Promise.race([new Promise<void>((resolve) => socket.on('connect', () => resolve())), ended])
  return {
    socket,
    text: () => text,
    async bytes(count) {
      while (text.length < count) await once(socket, 'some')
      return text
    },
    ended,
  }
}
