import { expect, test } from 'vitest'
import { producing, refusal, t } from '../../test/producing.ts'
import { MessagingError } from '../errors.ts'
import type { SendExtension } from '../face/extending.ts'
import { topic } from '../topic.ts'

test('a middleware that sends twice: twice by itself, and once in what has one fate', async () => {
  const twice: SendExtension = {
    send: (next) => async (out) => {
      await next(out)
      return next(out)
    },
  }
  const { rig, producer } = producing({}, { use: [twice] })
  await producer.send(t, 1, { id: '1' })
  expect(rig.flights.map(({ messages }) => messages.length)).toEqual([1, 1])
  const batch = producer.sendBatch(t, [{ body: 1 }, { body: 2 }], { atomic: true })
  expect((await batch).map((each) => !each.ok && each.error.message)).toEqual([
    'a send middleware sent a message of a batch twice; call next once',
    'a send middleware sent a message of a batch twice; call next once',
  ])
})

test('events tell what was sent, how long it took, and what failed', async () => {
  const { rig, producer } = producing()
  const heard: unknown[] = []
  rig.runtime.events.on('sent', (event) => heard.push(event))
  rig.runtime.events.on('send-failed', ({ id, error }) => heard.push(`${id} ${error.code}`))
  rig.auto((flight) => rig.clock.after(7, () => flight.ok()))
  const sent = producer.send(t, 1, { id: '1' })
  await rig.clock.advance(7)
  await sent
  rig.auto((flight) => flight.fail(new MessagingError('unroutable', 'nobody')))
  await refusal(producer.send(t, 1, { id: '2' }))
  expect(heard).toEqual([{ id: '1', topic: 't', ms: 7 }, '2 unroutable'])
})

test('middlewares wrap a send, the first outermost, those of the broker around those of the producer', async () => {
  const steps: string[] = []
  const note = (name: string): SendExtension => ({
    send: (next) => async (out) => {
      steps.push(`${name} ${out.key}`)
      const receipt = await next({ ...out, headers: { ...out.headers, [name]: 'x' } })
      steps.push(`/${name}`)
      return receipt
    },
  })
  const { rig, producer } = producing(
    { use: [note('a')] },
    { use: [note('b'), { send: (next) => (out) => next({ ...out, body: { changed: out.body }, tag: 'new' }) }] },
  )
  const keyed = topic<string>('keyed', { key: (body) => body })
  await producer.send(keyed, 'k', { headers: { own: '1' } })
  await producer.sendBatch(keyed, [{ body: 'l' }])
  producer.post(keyed, 'm')
  await producer.flush()
  await producer.sendBatch(keyed, [{ body: 'n' }], { atomic: true })
  expect(steps.slice(0, 4)).toEqual(['a k', 'b k', '/b', '/a'])
  const messages = rig.flights.flatMap((flight) => flight.messages)
  expect(
    messages.map(({ key, tag, headers, body }) => [key, tag, headers['a'], headers['b'], Buffer.from(body).toString()]),
  ).toEqual(['k', 'l', 'm', 'n'].map((key) => [key, 'new', 'x', 'x', `{"changed":"${key}"}`]))
  expect(messages[0]?.headers).toEqual({ own: '1', a: 'x', b: 'x' })
  expect(producer.stats()).toMatchObject({ sent: 4, failed: 0, pending: 0 })
})

test('a middleware that misbehaves is told so, and its own errors come through', async () => {
  const faults: SendExtension['send'][] = [
    (next) =>
      ({ id, topic: name, headers, body }) =>
        next({ id, topic: name, headers, body }),
    (next) => (out) => next({ ...out, topic: 'other' }),
    (next) => (out) => next({ ...out, headers: { 'ph-id': 'forged' } }),
    (next) => (out) => next({ ...out, delayMs: -5 }),
    () => async () => {
      throw new RangeError('mine')
    },
    () => () => {
      throw new RangeError('at once')
    },
  ]
  const texts: string[] = []
  for (const send of faults) {
    const { rig, producer } = producing({}, { use: [{ send }] })
    texts.push(await refusal(producer.send(t, 1)))
    expect(rig.flights).toEqual([])
    expect(producer.stats()).toMatchObject({ failed: 1, pending: 0 })
    const [batch] = await producer.sendBatch(t, [{ body: 1 }], { atomic: true })
    expect(batch?.ok).toBe(false)
    producer.post(t, 1)
    await producer.flush()
    expect(producer.stats()).toMatchObject({ failed: 3, pending: 0 })
  }
  expect(texts).toEqual([
    'invalid a send middleware passed on a message of its own; pass on { ...out, changes }',
    'invalid a send middleware changed the topic from t to other; send to the other topic by a producer of your own',
    'invalid a message for t: header "ph-id" is a name of ours; names that begin with ph- and content-type are taken',
    'invalid what a send middleware passed on: delayMs is -5; give ms from 0 to 316224000000',
    'RangeError: mine',
    'RangeError: at once',
  ])
})
