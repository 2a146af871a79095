// The whole flow on every broker, through the API.
import { ensure, portsOfNode } from '@posthorn/brokers'
import { describe, expect, test } from 'vitest'
import { openShop, type ShopOptions, until } from './shop.ts'
import { broken } from './truth.ts'

const brokers: Readonly<Record<string, () => Promise<ShopOptions>>> = {
  sqlite: async () => ({}),
  rabbitmq: async () => ({ brokerUrl: await ensure('rabbitmq') }),
  kafka: async () => {
    const brokerUrl = await ensure('kafka')
    if (process.env['KAFKA_URL']) return { brokerUrl }
    const { proxy, proxied } = portsOfNode('kafka')
    // Who is killed is followed when its session is over.
    return { brokerUrl: `${brokerUrl}?sessionTimeoutMs=5000`, heldPorts: `${proxy}:${proxied}` }
  },
}

// Side by side: the flow waits for its times more than it works.
describe.concurrent.each(Object.keys(brokers))('the shop on %s', (name) => {
  test('paid, expired, paid late, twice, killed, refused, dead, redriven, held: all of it comes out true', {
    timeout: 120_000,
  }, async () => {
    await using shop = await openShop({ ...(await brokers[name]!()), timeoutMs: 10_000 })
    const has = (id: string, step: string, times = 1): Promise<unknown> =>
      until(
        () => shop.story(id),
        (story) => story.filter((each) => each.includes(step)).length === times,
        60_000,
      )
    const one = async (): Promise<string> => (await shop.place())[0]!

    const paid = await one()
    await has(paid, 'stock: reserved')
    expect(await shop.post(`/orders/${paid}/pay`)).toMatchObject({ status: 200 })
    await has(paid, 'time-out: cancelled')

    const twice = await one()
    await has(twice, 'handled', 3)
    await shop.post(`/orders/${twice}/again`)
    await has(twice, 'duplicate dropped', 3)

    await shop.post('/break/payments', { count: 1 })
    const refused = await one()
    expect(await shop.post(`/orders/${refused}/pay`)).toMatchObject({ status: 402 })
    expect(await shop.post(`/orders/${refused}/pay`)).toMatchObject({ status: 200 })
    await has(refused, 'time-out: cancelled')
    await has(refused, 'sms: paid')

    await shop.post('/break/sms', { count: 4 })
    const silent = await one()
    await has(silent, 'retried', 3)
    await has(silent, 'dead letter')
    const letters = async () => (await (await fetch(`${shop.url}/dead-letters`)).json()) as readonly object[]
    expect(await letters()).toMatchObject([{ id: `placed-${silent}`, group: 'sms', reason: 'attempts', attempts: 4 }])
    expect((await shop.post('/dead-letters/redrive')).body).toEqual({ matched: 1, redriven: 1 })
    await has(silent, 'sms: placed')
    expect(await letters()).toEqual([])

    await shop.post('/break/kill', { count: 1 })
    const killed = await one()
    await has(killed, 'worker killed')
    await has(killed, 'stock: reserved')
    await has(killed, 'mail: placed')

    await shop.post('/break/hold')
    const held = await one()
    await has(held, 'not paid in time')
    await has(held, 'stock: given back')
    await shop.post(`/orders/${held}/pay`)
    await has(held, 'refunded')

    await until(
      () => broken(shop, 6),
      (found) => found.length === 0,
      60_000,
    )
  })
})
