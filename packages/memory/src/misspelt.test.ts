// Calls with options of no use, and a closed broker used again: refused by the name of what is wrong.
import { type Broker, connectAdapter, delayLevel, MessagingError, pattern, topic } from '@posthorn/core'
import type { Driver } from '@posthorn/core/driver'
import { changedAdapter } from '@posthorn/testkit'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { memory } from './index.ts'

const orders = topic<number>('orders', { groups: ['g'] })
const keyed = topic<{ id: string }>('keyed', { key: ({ id }) => id, groups: ['report'] })
const handler = async (): Promise<void> => {}
let broker: Broker
beforeEach(async () => {
  broker = await connectAdapter(memory(), { log: false })
})
afterEach(() => broker.close())

const calls: readonly [string, (broker: Broker) => unknown, RegExp][] = [
  [
    'an option of receive',
    (it) => pull(it, { max: 1, wait: 5 }),
    /receive\(\): there is no option "wait"; did you mean/,
  ],
  ['options of receive that are none', (it) => pull(it, 5), /receive\(\): its options are 5; give an object/],
  ['receive without options', (it) => pull(it, undefined), /receive\(\): max is undefined; give a whole number/],
  ['a need', (it) => it.having('replai' as never), /having\(\): the need is "replai"; give 'replay' or 'query'/],
  [
    'another order than the topic names for the group',
    (it) => it.consume(keyed, { group: 'report', order: 'none' }, handler),
    /the topic keyed has order 'key' for its group report, and order 'none' is asked for here.*groups: \[\{ name: 'report', order: 'none' \}\]/,
  ],
  [
    'another filter than the topic names for the group',
    (it) => it.consume(keyed, { group: 'report', filter: { tag: 'paid' } }, handler),
    /the topic keyed has no filter for its group report, and filter \{"tag":"paid"\} is asked for here.*groups: \[\{ name: 'report', filter: /,
  ],
  [
    'the answer of respond',
    (it) => it.respond(orders, { group: 'r', answer: 5 as never }, handler),
    /answer is 5; give a Standard/,
  ],
  [
    'the answer of request',
    (it) => it.request(orders, 1, { timeoutMs: 5, answer: {} as never }),
    /answer is an object; give a Sta/,
  ],
  [
    'the topic of cancel',
    (it) => it.producer().cancel({ id: 'x', topic: 'a\n' }),
    /cancel\(\): topic is "a\\n"; give a name without/,
  ],
  [
    'the group of lag',
    (it) => it.lag(orders, { group: 'a\nb' }),
    /lag\(\): group is "a\\nb"; give a name without control/,
  ],
  ['the group of dead letters', (it) => it.deadLetters(orders, { group: '' }), /group is ""; give a name of 1 to 200/],
  [
    'a delay level',
    () => delayLevel('1' as never),
    /delayLevel\(\): the level is "1"; give a whole number from 1 to 18/,
  ],
  ['what once is asked about', (it) => it.store.once({} as never, tx), /once\(\): id is undefined; give/],
  [
    'the tx of once',
    (it) => it.store.once({ id: 'x', topic: 't', group: 'g' }, 5 as never),
    /once\(\): tx is 5; give what runs/,
  ],
]
test.each(calls)('%s', async (_, call, says) => {
  await expect((async () => call(broker))()).rejects.toThrow(says)
  await expect((async () => call(broker))()).rejects.toMatchObject({ code: 'invalid' })
})

test('where the broker can tell that there is no such group, lag names those that there are', async () => {
  const adapter = changedAdapter(memory(), (plan) => ({
    ...plan,
    async connect(context) {
      const driver = await plan.connect(context)
      const lag: Driver['lag'] = async (...asked) => {
        if (asked[1] === 'billing') return driver.lag(...asked)
        throw new MessagingError('not-found', 'no queue')
      }
      return Object.assign(Object.create(driver), { lag })
    },
  }))
  const one = await connectAdapter(adapter, { log: false })
  const bills = topic('bills', { groups: ['billing', 'mail'] })
  expect(await one.lag(bills, { group: 'billing' })).toMatchObject({ backlog: 0 })
  const near = one.lag(bills, { group: 'biling' })
  await expect(near).rejects.toThrow(/^lag\(\): bills has no group biling; did you mean billing\? \(no queue\)$/)
  await expect(one.lag(bills, { group: 'x' })).rejects.toThrow(
    /^lag\(\): bills has no group x; there are billing, mail \(no/,
  )
  await expect(one.lag(bills, { group: 'x' })).rejects.toMatchObject({ code: 'not-found' })
  await one.close()
})

test('the dead letters of a group that is not there are none, and a line says which there are', async () => {
  const lines: string[] = []
  const one = await connectAdapter(memory(), { log: (line) => void lines.push(line) })
  const bills = topic('bills', { groups: ['billing'] })
  const letters = async (of: { readonly group: string | undefined }): Promise<number> => {
    let count = 0
    for await (const _ of one.deadLetters(bills, of).list()) count++
    return count
  }
  await one.consume(pattern('*'), { group: 'audit' }, async () => {})
  for (const group of ['billing', 'audit', undefined]) expect(await letters({ group })).toBe(0)
  expect(lines).toEqual([])
  expect(await letters({ group: 'biling' })).toBe(0)
  expect(await one.deadLetters(bills, { group: 'biling' }).redrive()).toMatchObject({ matched: 0 })
  const said = 'posthorn memory: deadLetters() finds nothing: bills has no group biling; did you mean billing?'
  expect(lines).toEqual([said, said])
  await one.close()
})

test('the store of a closed broker, and half messages, are refused like its other calls', async () => {
  const closed = await connectAdapter(memory(), { log: false })
  await closed.close()
  expect(() => closed.store).toThrow(/store: this broker is closed; connect again/)
  expect(() => closed.checkHalf(orders, async () => 'commit')).toThrow(
    /checkHalf: this broker is closed; connect again/,
  )
})

const tx = { query: async () => ({ rows: [] }) }
function pull(it: Broker, options: unknown): unknown {
  return it.pull(orders, { group: 'g' }).receive(options as never)
}
