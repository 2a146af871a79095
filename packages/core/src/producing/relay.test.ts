import { expect, test } from 'vitest'
import { settled } from '../../test/manual-clock.ts'
import { sendingRig } from '../../test/sending-rig.ts'
import type { Dispatch } from '../driver/envelope.ts'
import { MessagingError } from '../errors.ts'
import { topic } from '../topic.ts'
import { createProducer } from './producer.ts'
import { relay } from './relay.ts'

const message = (id: string, over: Partial<Dispatch> = {}): Dispatch => ({
  id,
  topic: 't',
  key: 'k',
  tag: undefined,
  headers: {},
  body: new Uint8Array(1),
  contentType: undefined,
  sentAt: undefined,
  expiresAt: undefined,
  priority: undefined,
  version: undefined,
  generation: 1,
  failures: 0,
  history: [],
  lone: 0,
  replyTo: undefined,
  correlationId: undefined,
  ...over,
})

test('sends what is ready-made, tries again, and answers with a value', async () => {
  const rig = sendingRig()
  const { send } = relay(rig.runtime)
  const sent = [send(message('1')), send(message('2', { key: 'j' }))]
  await settled()
  rig.flights[0]?.fail(new MessagingError('unavailable', 'away'))
  rig.auto((flight) =>
    flight.answer([
      { ok: true, position: '9' },
      { ok: false, error: new MessagingError('unroutable', 'nobody') },
    ]),
  )
  await rig.clock.advance(50)
  expect((await Promise.all(sent)).map((each) => (each.ok ? each.position : each.error.code))).toEqual([
    '9',
    'unroutable',
  ])
})

test('after its deadline the answer is a time-out', async () => {
  const rig = sendingRig()
  const sent = relay(rig.runtime).send(message('1'))
  await rig.clock.advance(10_000)
  const result = await sent
  expect(!result.ok && [result.error.code, result.error.outcome]).toEqual(['timeout', 'unknown'])
})

test('declares a topic that this broker has seen, and does without for one that it has not', async () => {
  const rig = sendingRig()
  rig.auto((flight) => flight.ok())
  const { send } = relay(rig.runtime)
  await send(message('1', { topic: 'strange' }))
  expect(rig.declared).toEqual([])
  await createProducer(rig.runtime).send(topic('t'), 1)
  await send(message('2'))
  expect(rig.declared).toEqual(['t'])
})

test('shares places under way with the producers, keeps their keys in order, and lets dead letters pass', async () => {
  const rig = sendingRig({ traits: { inFlight: 2 } })
  const sent = createProducer(rig.runtime).send(topic('t'), 1, { key: 'k' })
  await settled()
  const { send } = relay(rig.runtime)
  const copy = send(message('copy', { group: 'g' }))
  const letter = send(message('letter', { letter: { reason: 'rejected', error: undefined, attempts: 1, at: 0 } }))
  await settled()
  expect(rig.flights.map(({ messages }) => messages.map(({ id }) => id)).slice(1)).toEqual([['letter']])
  rig.auto((flight) => flight.ok())
  for (const flight of rig.flights) flight.ok()
  await Promise.all([sent, copy, letter])
  expect(rig.flights.at(-1)?.messages.map(({ id }) => id)).toEqual(['copy'])
})

test('after the broker has closed it answers that', async () => {
  const rig = sendingRig()
  const { send } = relay(rig.runtime)
  rig.close()
  const result = await send(message('1'))
  expect(!result.ok && result.error.code).toBe('closed')
})
