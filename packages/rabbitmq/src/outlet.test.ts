import { ensure } from '@posthorn/brokers'
import { type ConfirmChannel, connect, type Message } from 'amqplib'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { publisherOn } from './confirms.ts'
import type { Outgoing } from './frames.ts'

const url = await ensure('rabbitmq')
const forever = new AbortController().signal
let model: Awaited<ReturnType<typeof connect>>
beforeAll(async () => {
  model = await connect(url)
})
afterAll(() => model.close())

/** A channel of an amqplib whose inside looks otherwise. */
const opaque = (channel: ConfirmChannel): ConfirmChannel =>
  new Proxy(channel, {
    get(target, name) {
      const value: unknown = name === 'ch' || name === 'connection' ? undefined : Reflect.get(target, name)
      return typeof value === 'function' ? value.bind(target) : value
    },
  })

/** What comes out of a queue into which these were published. */
async function through(
  channel: ConfirmChannel,
  all: readonly Omit<Outgoing, 'exchange' | 'key'>[],
): Promise<Message[]> {
  const reading = await model.createChannel()
  const { queue } = await reading.assertQueue('', { exclusive: true })
  const results = await publisherOn(channel, { tooLong() {}, refused() {} }).publish(
    all.map((each) => ({ ...each, exchange: '', key: queue })),
    forever,
  )
  expect(results.every(({ ok }) => ok)).toBe(true)
  const out: Message[] = []
  for (
    let got = await reading.get(queue, { noAck: true });
    got !== false;
    got = await reading.get(queue, { noAck: true })
  )
    out.push(got)
  await Promise.all([reading.close(), channel.close()])
  return out
}

it('writes the same past amqplib as through it', async () => {
  const all = [
    { id: 'lean', body: Buffer.from('{}'), properties: { messageId: 'lean', timestamp: 1_790_000_000 } },
    { id: 'empty', body: Buffer.alloc(0), properties: {} },
    {
      id: 'full',
      body: Buffer.alloc(300_000, 'x'),
      properties: {
        contentType: 'text/plain; charset=utf-8',
        headers: { ü: 'ö'.repeat(60), yes: true as const },
        priority: 9,
        correlationId: 'c',
        replyTo: 'r',
        expiration: 60_000,
        messageId: 'full',
      },
    },
  ]
  const direct = await through(await model.createConfirmChannel(), all)
  const behind = await through(opaque(await model.createConfirmChannel()), all)
  expect(direct).toHaveLength(3)
  for (const [i, { content, properties }] of direct.entries()) {
    expect(content.equals(all[i]?.body as Buffer)).toBe(true)
    // amqplib writes a table of headers even where there are none.
    expect({ ...properties, headers: properties.headers ?? {} }).toEqual(behind[i]?.properties)
    expect(properties).toMatchObject({
      ...all[i]?.properties,
      deliveryMode: 2,
      ...(i === 2 ? { expiration: '60000' } : {}),
    })
  }
})
