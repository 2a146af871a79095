import { type DeadLetter, MessagingError, topic } from '@posthorn/core'
import { type Driver, partsOf } from '@posthorn/core/driver'
import { expect, it } from 'vitest'
import { rig } from './rig.ts'

const orders = topic<string>('orders', { groups: [{ name: 'g', order: 'key' }], key: (body) => body.slice(0, 1) })

/** A broker to which some messages can never go: nobody is there to route them to. */
const nobodyFor =
  (bodies: readonly string[], away: () => boolean) =>
  (send: Driver['send']): Driver['send'] =>
  (batch, control) =>
    Promise.all(
      batch.map(async (message) => {
        if (away()) return { ok: false as const, error: new MessagingError('unavailable', 'the broker is away') }
        if (message.letter === undefined && bodies.includes(Buffer.from(message.body).toString().replaceAll('"', '')))
          return { ok: false as const, error: new MessagingError('unroutable', 'nobody is there') }
        return (await send([message], control))[0] as Awaited<ReturnType<Driver['send']>>[number]
      }),
    )

/** A broker whose store is apart, and a reader; what it could not send is told in `failed`. */
async function relaying(bodies: readonly string[]) {
  let away = false
  const { broker, clock } = await rig({
    apart: true,
    traits: { delay: 'none', cancel: false },
    faults: { send: nobodyFor(bodies, () => away) },
  })
  const seen: string[] = []
  const failed: string[] = []
  await broker.consume(orders, { group: 'g', order: 'key' }, async ({ body }) => void seen.push(body))
  broker.on('send-failed', ({ id, error }) => void failed.push(`${id} ${error.code}`))
  return {
    broker,
    clock,
    seen,
    failed,
    goes: (is: boolean) => {
      away = is
    },
    /** What nobody could be routed to, with the group it belongs to. */
    async buried() {
      const found: DeadLetter<string>[] = []
      for await (const letter of broker.deadLetters(orders).list()) found.push(letter)
      return found.map(({ id, body, reason, group, error }) => ({ id, body, reason, group, error }))
    },
    waiting: () => partsOf(broker.store).held?.count('ready'),
  }
}
const letter = (id: string, body: string) => ({
  id,
  body,
  reason: 'unroutable',
  group: undefined,
  error: 'nobody is there',
})

it('the relay buries what can never be sent as unroutable: from the outbox, and its key goes on', async () => {
  const { broker, clock, seen, failed, buried, waiting } = await relaying(['a1'])
  await broker.store.transaction(async (tx) => {
    await broker.producer().send(orders, 'a1', { id: 'one', tx })
    for (const body of ['a2', 'b1', 'a3']) await broker.producer().send(orders, body, { tx })
  })
  await clock.advance(60_000)
  expect(await buried()).toEqual([letter('one', 'a1')])
  expect(failed).toEqual(['one unroutable'])
  expect(seen.filter((body) => body !== 'b1')).toEqual(['a2', 'a3'])
  expect(seen).toContain('b1')
  expect(await waiting()).toBe(0)
  await broker.close()
})

it('the relay buries what waited for its time, which is then no longer held', async () => {
  const { broker, clock, seen, buried, waiting } = await relaying(['a1'])
  const producer = broker.producer()
  expect((await producer.send(orders, 'a1', { id: 'late', delayMs: 5_000 })).held).toBe('schedule')
  await producer.send(orders, 'a2', { delayMs: 5_000 })
  await clock.advance(60_000)
  expect(await buried()).toEqual([letter('late', 'a1')])
  expect(seen).toEqual(['a2'])
  expect(await waiting()).toBe(0)
  expect(await producer.cancel({ id: 'late', topic: orders.name })).toBe('too-late')
  await broker.close()
})

it('the relay buries what was spooled, and the key need not go through the spool any more', async () => {
  const { broker, clock, seen, buried, goes, waiting } = await relaying(['a1'])
  const producer = broker.producer({ spool: true, sendTimeoutMs: 1_000 })
  goes(true)
  const spooling = producer.send(orders, 'a1', { id: 'stored' })
  await clock.advance(5_000)
  expect((await spooling).held).toBe('spool')
  goes(false)
  await clock.advance(60_000)
  expect(await buried()).toEqual([letter('stored', 'a1')])
  expect((await producer.send(orders, 'a2')).held).toBe('broker')
  await clock.advance(1_000)
  expect(seen).toEqual(['a2'])
  expect(await waiting()).toBe(0)
  await broker.close()
})

it('a letter that cannot be put away either leaves the row where it is, until it can', async () => {
  let refuses = true
  const { broker, clock } = await rig({
    apart: true,
    faults: {
      send: (send) => async (batch, control) =>
        refuses || batch.some((message) => message.letter === undefined)
          ? batch.map(() => ({ ok: false as const, error: new MessagingError('unroutable', 'nobody is there') }))
          : send(batch, control),
    },
  })
  const { held } = partsOf(broker.store)
  await broker.store.transaction((tx) => broker.producer().send(orders, 'a1', { tx }))
  await clock.advance(120_000)
  expect(await held?.count('ready')).toBe(1)
  refuses = false
  await clock.advance(120_000)
  expect(await held?.count('ready')).toBe(0)
  await broker.close()
})
