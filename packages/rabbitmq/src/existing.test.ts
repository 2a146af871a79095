// What somebody else owns: exchanges of every type, with their alternate exchange, and a connection that was opened by its user.
import { ensure } from '@posthorn/brokers'
import { connectAdapter, topic } from '@posthorn/core'
import { type ConfirmChannel, connect } from 'amqplib'
import { describe, expect, it } from 'vitest'
import { type RabbitMapping, rabbitmq } from './index.ts'
import { fixtureOn } from './testing/fixture.ts'
import { managementOf } from './testing/management.ts'

// Another version by its name, as in the conformance suite.
const testedOn = process.env['POSTHORN_RABBITMQ'] ?? 'rabbitmq'
const url = await ensure(testedOn)
const fixture = fixtureOn(testedOn, url)
const { namespace } = fixture
const forever = new AbortController().signal
const management = managementOf(testedOn)
let count = 0

async function broker() {
  const made = await connectAdapter(rabbitmq({ url }), { namespace, log: false })
  fixture.after(() => made.close())
  return made
}
async function exchangeOf(type: string, args: object = {}): Promise<string> {
  const name = `${namespace}:theirs${count++}`
  await management.call('PUT', `/exchanges/%2F/${encodeURIComponent(name)}`, { type, durable: true, arguments: args })
  return name
}
async function stranger(): Promise<ConfirmChannel> {
  const model = await connect(url)
  fixture.after(() => model.close())
  return model.createConfirmChannel()
}

describe('an exchange that is there', () => {
  it.each([
    { type: 'direct', routingKey: 'paid', theirs: ['paid', 'other'], got: ['ours', 'paid'] },
    { type: 'topic', routingKey: 'order.*', theirs: ['order.new', 'bill.new'], got: ['order.new', 'ours'] },
    { type: 'fanout', routingKey: '', theirs: ['a', 'b'], got: ['a', 'b', 'ours'] },
  ] as const)('of type $type feeds a queue of ours by its key', async ({ type, routingKey, theirs, got }) => {
    const exchange = await exchangeOf(type)
    const ours = await broker()
    const news = topic<string>(`news${count++}`, { on: { rabbitmq: { exchange, type, routingKey } } })
    const seen: string[] = []
    await ours.consume(news, { group: 'g' }, async ({ body }) => void seen.push(body))
    const channel = await stranger()
    for (const key of theirs)
      channel.publish(exchange, key, Buffer.from(JSON.stringify(key)), { contentType: 'application/json' })
    await channel.waitForConfirms()
    await ours.producer().send(news, 'ours')
    await expect.poll(() => seen.toSorted(), { timeout: 10_000 }).toEqual(got)
  })

  it('of type headers feeds it by headers, and a message that has not all of them is unroutable', async () => {
    const exchange = await exchangeOf('headers')
    const ours = await broker()
    const on: RabbitMapping = { exchange, type: 'headers', headers: { kind: 'order', land: 'de' } }
    const news = topic<number>(`news${count++}`, { on: { rabbitmq: on } })
    const seen: number[] = []
    await ours.consume(news, { group: 'g' }, async ({ body }) => void seen.push(body))
    await ours.producer().send(news, 1, { headers: { kind: 'order', land: 'de', more: 'x' } })
    await expect(ours.producer().send(news, 2, { headers: { kind: 'order' } })).rejects.toMatchObject({
      code: 'unroutable',
      message: expect.stringContaining(exchange),
    })
    await expect.poll(() => seen).toEqual([1])
  })

  it('with an alternate exchange holds what no group is bound for, and the send says so', async () => {
    const [lost, queue] = [await exchangeOf('fanout'), `${namespace}:lost`]
    const exchange = await exchangeOf('direct', { 'alternate-exchange': lost })
    const channel = await stranger()
    await channel.assertQueue(queue)
    await channel.bindQueue(queue, lost, '')
    const news = topic<number>(`news${count++}`, { on: { rabbitmq: { exchange, type: 'direct', routingKey: 'none' } } })
    await (await broker()).producer().send(news, 7)
    const got = await channel.get(queue, { noAck: true })
    expect(got === false ? '' : got.content.toString()).toBe('7')
  })
})

describe('a connection that was given', () => {
  it('carries everything, stays open when the driver closes, and is not opened again', async () => {
    const connection = await connect(url)
    const driver = await fixture.connect({ connection })
    expect([driver.client.sending, driver.client.consuming]).toEqual([connection, connection])
    const orders = fixture.topic()
    await driver.declare(orders, forever)
    const source = await fixture.open(driver, orders)
    await driver.send([fixture.message(orders)], { signal: forever })
    expect((await fixture.receive(source, 1)).length).toBe(1)
    await driver.close()
    // Whose it is goes on with it.
    const channel = await connection.createChannel()
    await channel.checkExchange(`${namespace}:${orders.name}`)
    const second = await fixture.connect({ connection })
    await connection.close()
    await expect(second.declare(orders, forever)).rejects.toMatchObject({
      code: 'unavailable',
      message: expect.stringContaining('the connection that was given'),
    })
  })
})
