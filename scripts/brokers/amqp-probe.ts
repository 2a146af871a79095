import { createConnection } from 'node:net'

/** Whether whoever listens on a port answers the AMQP 0-9-1 greeting with a method frame, as only a broker does. */
export const greetsAsAmqp = (port: number): Promise<string | undefined> =>
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
