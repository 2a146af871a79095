// A user who may read and write, and make nothing: topology belongs to an operator.
import { randomBytes } from 'node:crypto'
import { ensure } from '@posthorn/brokers'
import { type Broker, connectAdapter, fixed, retry, topic } from '@posthorn/core'
import type { TopicSpec } from '@posthorn/core/driver'
import { afterAll, describe, expect, it } from 'vitest'
import { rabbitmq } from './index.ts'
import { fixtureOn } from './testing/fixture.ts'
import { managementOf } from './testing/management.ts'

// Another version by its name, as in the conformance suite.
const testedOn = process.env['POSTHORN_RABBITMQ'] ?? 'rabbitmq'
const url = await ensure(testedOn)
const fixture = fixtureOn(testedOn, url)
const { namespace } = fixture
const management = managementOf(testedOn)
const forever = new AbortController().signal
const users: string[] = []
afterAll(() => Promise.all(users.map((user) => management.call('DELETE', `/users/${user}`))))

const permit = (user: string, configure: string, write: string): Promise<unknown> =>
  management.call('PUT', `/permissions/%2F/${user}`, { configure, write, read: '.*' })

/** The address of a new user who may make what `configure` matches, and write to what `write` does. */
async function userWho(configure: string, write = '.*'): Promise<string> {
  const user = `limited-${randomBytes(4).toString('hex')}`
  users.push(user)
  await management.call('PUT', `/users/${user}`, { password: 'secret', tags: '' })
  await permit(user, configure, write)
  const { host } = new URL(url)
  return `amqp://${user}:secret@${host}`
}
async function connected(at: string, topology: 'declare' | 'check' | 'none'): Promise<Broker> {
  const broker = await connectAdapter(rabbitmq({ url: at }), { namespace, topology, log: false })
  fixture.after(() => broker.close())
  return broker
}

const delayMs = 1_200
let count = 0
/** A topic that an operator has made, with the ladder up to the delay. */
async function made() {
  const orders = topic<string>(`orders${count++}`, {
    key: (body) => body.slice(0, 1),
    groups: [
      { name: 'billing', order: 'key' },
      { name: 'audit', order: 'none' },
    ],
  })
  const operator = await connected(url, 'declare')
  const consumers = await Promise.all(
    (['billing', 'audit'] as const).map((group) => operator.consume(orders, { group }, async () => {})),
  )
  await operator.producer().send(orders, 'ladder', { delayMs })
  for (const each of consumers) await each.stop()
  return orders
}

describe.each(['check', 'none'] as const)('with topology %s', (topology) => {
  it('sends, delays, handles in order and without, retries later and buries', async () => {
    const orders = await made()
    const at = await userWho('^amq\\.gen-.*$')
    const limited = await connected(at, topology)
    const seen: string[] = []
    await limited.consume(orders, { group: 'billing' }, async ({ body }) => void seen.push(`billing ${body}`))
    const again = { attempts: 2, backoff: fixed(delayMs) }
    await limited.consume(orders, { group: 'audit', use: [retry(again)] }, async ({ body, attempt }) => {
      seen.push(`audit ${body} ${attempt}`)
      if (body === 'bad') throw new Error('no')
    })
    const producer = limited.producer()
    await producer.send(orders, 'good')
    await producer.send(orders, 'bad')
    await producer.send(orders, 'late', { delayMs })
    await expect
      .poll(() => seen.toSorted().filter((each) => !each.includes('ladder')), { timeout: 15_000 })
      .toEqual([
        ...['audit bad 1', 'audit bad 2', 'audit good 1', 'audit late 1'],
        ...['billing bad', 'billing good', 'billing late'],
      ])
    const letters: string[] = []
    await expect
      .poll(async () => {
        letters.length = 0
        for await (const { body, reason } of limited.deadLetters(orders, { group: 'audit' }).list())
          letters.push(`${body} ${reason}`)
        return letters
      })
      .toEqual(['bad attempts'])
  })
})

it('says to who may make nothing at all what an ordered group needs, and what declaring does', async () => {
  const orders = await made()
  const at = await userWho('^$')
  const limited = await connected(at, 'check')
  await limited.consume(orders, { group: 'audit' }, async () => {})
  await expect(limited.consume(orders, { group: 'billing' }, async () => {})).rejects.toMatchObject({
    code: 'unauthorized',
    message: expect.stringMatching(/amq\\?\.gen/),
  })
  const declaring = await connected(at, 'declare')
  await expect(declaring.producer().send(topic(`new${count++}`, { groups: ['g'] }), 1)).rejects.toMatchObject({
    code: 'unauthorized',
    message: expect.stringMatching(/topology: 'check'/),
  })
})

it.each(['declare', 'check'] as const)(
  'tells at once who may not write, with topology %s, and goes on with what else is sent',
  async (topology) => {
    const [open, closed] = [await made(), await made()]
    const at = await userWho('.*', `^(?!.*${closed.name}$).*$`)
    const limited = await connected(at, topology)
    const producer = limited.producer()
    await producer.send(open, 'good')
    const from = performance.now()
    const all = await Promise.allSettled([producer.send(closed, 'bad'), producer.send(open, 'good')])
    // Half of what a send may take.
    expect(performance.now() - from).toBeLessThan(15_000)
    expect(all).toMatchObject([
      { status: 'rejected', reason: { code: 'unauthorized', message: expect.stringContaining(closed.name) } },
      { status: 'fulfilled' },
    ])
  },
)

it('hinders nobody by sends that are refused, again and again, until they are not', async () => {
  const [open, closed] = [fixture.topic(), fixture.topic()]
  const at = await userWho('.*', `^(?!.*:${closed.name}$).*$`)
  const driver = await fixture.connect({ url: at })
  for (const each of [open, closed]) await driver.declare(each, forever)
  const send = async (to: TopicSpec, count: number): Promise<readonly string[]> => {
    const batch = Array.from({ length: count }, () => fixture.message(to))
    return (await driver.send(batch, { signal: forever })).map((each) => (each.ok ? 'ok' : each.error.code))
  }
  expect(await send(closed, 1)).toEqual(['unauthorized'])
  const good: string[] = []
  const bad: string[] = []
  for (let round = 0; round < 20; round++) {
    const refused = send(closed, 1)
    good.push(...(await Promise.all([send(open, 50), send(open, 50)])).flat())
    bad.push(...(await refused))
  }
  expect(new Set(good)).toEqual(new Set(['ok']))
  expect(new Set(bad)).toEqual(new Set(['unauthorized']))
  await permit(new URL(at).username, '.*', '.*')
  await expect.poll(() => send(closed, 1), { timeout: 10_000 }).toEqual(['ok'])
})

it('tells at once who may write nothing, whom it hinders from writing down what it makes', async () => {
  const limited = await connected(await userWho('.*', '^$'), 'declare')
  const from = performance.now()
  await expect(limited.producer().send(topic(`new${count++}`, { groups: ['g'] }), 1)).rejects.toMatchObject({
    code: 'unauthorized',
    message: expect.stringMatching(/access to exchange/),
  })
  expect(performance.now() - from).toBeLessThan(15_000)
})
