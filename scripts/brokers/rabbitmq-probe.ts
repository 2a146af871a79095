import { createConnection } from 'node:net'
import type { Process } from './broker.ts'

/** Whether somebody listens on a port. */
export const listens = (port: number): Promise<string | undefined> =>
  new Promise((resolve) => {
    const socket = createConnection({ host: '127.0.0.1', port })
    socket.on('connect', () => {
      socket.destroy()
      resolve(undefined)
    })
    socket.on('error', (error) => resolve(error.message))
  })

/** Whether whoever listens on a port answers the AMQP 0-9-1 greeting with a method frame, as only a broker does. */
const greets = (port: number): Promise<string | undefined> =>
  new Promise((resolve) => {
    const socket = createConnection({ host: '127.0.0.1', port, timeout: 3_000 })
    const done = (answer: string | undefined) => {
      socket.destroy()
      resolve(answer)
    }
    socket.on('connect', () => socket.write(Buffer.from([0x41, 0x4d, 0x51, 0x50, 0, 0, 9, 1])))
    socket.on('data', (data) => done(data[0] === 1 ? undefined : `port ${port} does not speak AMQP 0-9-1`))
    socket.on('timeout', () => done(`port ${port} accepts but does not answer`))
    socket.on('error', (error) => done(`port ${port}: ${error.message}`))
    socket.on('close', () => done(`port ${port} closed the connection`))
  })

/** A GET of the management API as the user guest; throws on anything but 2xx. */
const management = async (ports: Process['ports'], path: string): Promise<unknown> => {
  const response = await fetch(`http://127.0.0.1:${ports['management']}/api/${path}`, {
    headers: { authorization: `Basic ${Buffer.from('guest:guest').toString('base64')}` },
    signal: AbortSignal.timeout(5_000),
  })
  const body: unknown = await response.json()
  if (response.ok) return body
  throw new Error(`GET /api/${path} answered ${response.status}`)
}

/** AMQP alone is not enough: the greeting comes before the virtual host is there. */
export const serves = async ({ ports }: Process): Promise<string | undefined> => {
  const silent = await greets(ports['amqp']!)
  if (silent === undefined) await management(ports, 'health/checks/virtual-hosts')
  return silent
}

/** Whether every node sees as many running nodes as there are. */
export const joined = async (nodes: readonly Process[]): Promise<string | undefined> => {
  for (const { name, ports } of nodes) {
    const seen = (await management(ports, 'nodes')) as readonly { readonly running: boolean }[]
    const running = seen.filter((node) => node.running).length
    if (running !== nodes.length) return `${name} sees ${running} of ${nodes.length} nodes`
  }
  return undefined
}
