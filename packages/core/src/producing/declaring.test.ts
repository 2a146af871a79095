import { expect, test } from 'vitest'
import { storeDouble } from '../../test/keeper-double.ts'
import { settled } from '../../test/manual-clock.ts'
import { producing, refusal, t, tx } from '../../test/producing.ts'
import { MessagingError } from '../errors.ts'
import type { Transaction } from '../face/stores.ts'
import { topicParts, topicSpec } from '../topic.ts'

test('a topic is declared once, before its first message, and nothing overtakes meanwhile', async () => {
  let open: () => void = () => {}
  let declarations = 0
  const { rig, producer } = producing({
    declare: async (each) => {
      declarations++
      await new Promise<void>((resolve) => {
        open = resolve
      })
      return { spec: topicSpec(topicParts(each), 'rig'), there: true }
    },
  })
  const all = [1, 2, 3].map((body) => producer.send(t, body, { id: `${body}` }))
  await settled()
  expect(rig.flights).toEqual([])
  open()
  const late = Promise.resolve().then(() => producer.send(t, 4, { id: '4' }))
  await Promise.all([...all, late])
  expect(rig.flights.flatMap(({ messages }) => messages.map(({ id }) => id))).toEqual(['1', '2', '3', '4'])
  expect(declarations).toBe(1)
})

test('a declaration that fails fails what waits, and is tried again by the next send', async () => {
  let fail = true
  const { producer } = producing({
    declare: async (each) => {
      if (fail) throw new MessagingError('unauthorized', 'no right to declare t')
      return { spec: topicSpec(topicParts(each), 'rig'), there: true }
    },
  })
  expect(await refusal(producer.send(t, 1))).toBe('unauthorized no right to declare t')
  fail = false
  expect((await producer.send(t, 1)).held).toBe('broker')
})

test('a declaration that hangs holds nobody beyond the deadline', async () => {
  let open: () => void = () => {}
  const { rig, producer } = producing({
    declare: async (each) => {
      await new Promise<void>((resolve) => {
        open = resolve
      })
      return { spec: topicSpec(topicParts(each), 'rig'), there: true }
    },
  })
  const sent = refusal(producer.send(t, 1, { id: '1' }))
  await rig.clock.advance(10_000)
  expect(await sent).toBe(
    'timeout t 1 was not confirmed within 10000 ms; the buffer was full, or its topic was not ready',
  )
  const next = producer.send(t, 2, { id: '2' })
  open()
  expect((await next).id).toBe('2')
  expect(rig.flights.flatMap(({ messages }) => messages.map(({ id }) => id))).toEqual(['2'])
})

test('the first use of a topic may be inside a transaction of a store with one writer', async () => {
  const ends: (() => void)[] = []
  const asked: (Transaction | undefined)[] = []
  const { rig, producer } = producing({
    traits: { transactional: true },
    storeIsDriver: true,
    store: storeDouble(),
    declare: async (each, _signal, inside) => {
      asked.push(inside)
      if (inside === undefined) await new Promise<void>((resolve) => ends.push(resolve))
      return { spec: topicSpec(topicParts(each), 'rig'), there: true }
    },
  })
  expect((await producer.send(t, 1, { tx })).held).toBe('broker')
  expect((await producer.send(t, 1, { tx })).held).toBe('broker')
  const outside = producer.send(t, 1)
  await settled()
  expect(asked).toEqual([tx, undefined, tx, undefined])
  for (const end of ends) end()
  await outside
  expect((await producer.send(t, 1, { tx })).held).toBe('broker')
  expect(asked.length).toBe(4)
  expect(rig.flights.length).toBe(4)
})
