import { createConnection } from 'node:net'

const string = (text: string): Buffer => Buffer.concat([int16(Buffer.byteLength(text)), Buffer.from(text)])
const int16 = (value: number): Buffer => {
  const bytes = Buffer.alloc(2)
  bytes.writeInt16BE(value)
  return bytes
}
const int32 = (value: number): Buffer => {
  const bytes = Buffer.alloc(4)
  bytes.writeInt32BE(value)
  return bytes
}

const request = (api: number, version: number, body: readonly Buffer[]): Buffer => {
  const payload = Buffer.concat([int16(api), int16(version), int32(1), string('posthorn'), ...body])
  return Buffer.concat([int32(payload.length), payload])
}

/** One request on a connection of its own; gives what follows the correlation id. */
const ask = (port: number, bytes: Buffer): Promise<Buffer> =>
  new Promise((resolve, reject) => {
    const socket = createConnection({ host: '127.0.0.1', port, timeout: 5_000 })
    let data = Buffer.alloc(0)
    const fail = (error: Error) => {
      socket.destroy()
      reject(error)
    }
    socket.on('connect', () => socket.write(bytes))
    socket.on('data', (chunk) => {
      data = Buffer.concat([data, chunk])
      if (data.length < 4 || data.length < 4 + data.readInt32BE(0)) return
      socket.destroy()
      resolve(data.subarray(8))
    })
    socket.on('timeout', () => fail(new Error(`port ${port} accepts but does not answer`)))
    socket.on('error', fail)
    socket.on('close', () => reject(new Error(`port ${port} closed the connection`)))
  })

const findCoordinator = 10
const heartbeat = 12

/** A code of 0 and the port of the coordinator, or the code alone. */
const coordinator = async (port: number, key: string, type: 'group' | 'transaction') => {
  const answer = await ask(port, request(findCoordinator, 1, [string(key), Buffer.from([type === 'group' ? 0 : 1])]))
  // throttle time (4), code (2), message, node id (4), host, port (4)
  const code = answer.readInt16BE(4)
  return { code, port: answer.readInt32BE(answer.length - 4) }
}

// One group for each of the four partitions of the offsets topic (the hash code of a letter is its number).
const groups = ['a', 'b', 'c', 'd']
// Loading, not available, not the coordinator: what a client would have to wait for.
const notYet = [14, 15, 16]

/**
 * Whether groups and transactions can be used at once: every coordinator is found, and each coordinator of a group has
 * loaded its part of the offsets. The internal topics are created by the asking.
 */
export const coordinates = async (port: number): Promise<string | undefined> => {
  for (const group of groups) {
    const found = await coordinator(port, group, 'group')
    if (found.code !== 0) return `no coordinator for groups yet (code ${found.code})`
    const beat = await ask(found.port, request(heartbeat, 0, [string(group), int32(0), string('')]))
    const code = beat.readInt16BE(0)
    if (notYet.includes(code)) return `a coordinator of groups is still loading (code ${code})`
  }
  const transactions = await coordinator(port, 'a', 'transaction')
  return transactions.code === 0 ? undefined : `no coordinator for transactions yet (code ${transactions.code})`
}
