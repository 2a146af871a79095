import type { Foreign } from '@posthorn/testkit/conformance'
import { type ConfirmChannel, connect } from 'amqplib'

/** A queue of somebody else's, written to by amqplib alone. */
export function amqplibOn(url: string): Foreign {
  const withChannel = async (work: (channel: ConfirmChannel) => Promise<unknown>): Promise<void> => {
    const connection = await connect(url)
    try {
      await work(await connection.createConfirmChannel())
    } finally {
      await connection.close()
    }
  }
  return {
    async prepare(namespace) {
      const queue = `${namespace}:legacy`
      await withChannel((channel) => channel.assertQueue(queue, { durable: true }))
      return { queue }
    },
    publish: (on, body, headers) =>
      withChannel(async (channel) => {
        channel.sendToQueue((on as { readonly queue: string }).queue, Buffer.from(body), { headers: { ...headers } })
        await channel.waitForConfirms()
      }),
  }
}
