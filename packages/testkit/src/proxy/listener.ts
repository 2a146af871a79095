import { createServer, type Server, type Socket } from 'node:net'

// Below the ephemeral range, so that no outgoing connection takes the port while it is refused; beside the brokers' own.
const first = 11_300
const last = 15_600

/** A port that can be closed and opened again. */
export interface Listener {
  readonly port: number
  open(): Promise<void>
  /** From now on connections are refused; those that are open stay. */
  shut(): void
}

/** Listens on loopback at `port`, or at a free one. */
export async function listen(port: number | undefined, accept: (socket: Socket) => void): Promise<Listener> {
  let server: Server | undefined
  let at = port ?? 0
  const open = async (): Promise<void> => {
    server ??= await bind(at, accept)
  }
  if (port !== undefined) await open()
  const start = Math.floor(Math.random() * (last - first))
  for (let i = 0; server === undefined; i++) {
    at = first + ((start + i) % (last - first))
    await open().catch((error: NodeJS.ErrnoException) => {
      if (error.code !== 'EADDRINUSE' || i > 200) throw error
    })
  }
  return {
    port: at,
    open,
    shut() {
      server?.close()
      server = undefined
    },
  }
}

function bind(port: number, accept: (socket: Socket) => void): Promise<Server> {
  return new Promise((resolve, reject) => {
    const server = createServer({ allowHalfOpen: true }, accept)
    server.once('error', reject)
    server.listen(port, '127.0.0.1', () => {
      server.off('error', reject)
      resolve(server)
    })
  })
}
