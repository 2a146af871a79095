// The RabbitMQ rows by other libraries.
import { connect } from 'amqplib'
import type { Block } from '../harness/case.ts'
import { measured, orderOf } from './measuring.ts'
import { paced } from './paced.ts'
import { installPeers } from './peers.ts'
import { rawQueue } from './rabbitmq-by-hand.ts'
import { callers, inNamespace, prefetch, thousandASecond, warmUp } from './rabbitmq-ground.ts'
import type { OpenPeer, Peer } from './rabbitmq-peers.ts'

/** Works with a peer on a queue like that of the raw rows. */
const withPeer = <T>(open: OpenPeer, work: (peer: Peer) => Promise<T>): Promise<T> =>
  inNamespace(async (namespace, url) => {
    installPeers()
    const connection = await connect(url)
    const queue = await rawQueue(await connection.createChannel(), namespace)
    await connection.close()
    const peer = await open(url, queue)
    const result = await work(peer)
    await peer.close()
    return result
  })

const sendByPeer = async (peer: Peer, count: number): Promise<void> => {
  let next = 0
  const caller = async (): Promise<void> => {
    while (next < count) await peer.send(orderOf(next++))
  }
  await Promise.all(Array.from({ length: callers }, caller))
}

/** Sends by many callers, each confirmed. */
export const sentByPeer =
  (open: OpenPeer, count: number): Block =>
  (scale) =>
    withPeer(open, async (peer) => {
      const messages = Math.ceil(count * scale)
      await sendByPeer(peer, warmUp)
      return measured(messages, () => sendByPeer(peer, messages))
    })

/** Handles what lies in the queue. */
export const consumedByPeer =
  (open: OpenPeer, count: number): Block =>
  (scale) =>
    withPeer(open, async (peer) => {
      const messages = Math.ceil(count * scale)
      await sendByPeer(peer, messages)
      return measured(
        messages,
        () =>
          new Promise<void>((resolve, reject) => {
            let handled = 0
            const handler = async (): Promise<void> => {
              if (++handled === messages) resolve()
            }
            peer.consume(handler, prefetch).catch(reject)
          }),
      )
    })

/** From send to handler. */
export const latencyOf =
  (open: OpenPeer): Block =>
  (scale) =>
    withPeer(open, async (peer) => {
      // Some reject what is not confirmed when they are closed.
      const sent: Promise<unknown>[] = []
      const sample = await paced(
        thousandASecond(scale),
        (id) => sent.push(Promise.resolve(peer.send(orderOf(id)))),
        (take) => peer.consume(async ({ id }) => take(id), 100),
      )
      await Promise.all(sent)
      return sample
    })
