import { MessagingError, topic } from '@posthorn/core'
import { type Driver, type Held, partsOf } from '@posthorn/core/driver'
import { expect, it } from 'vitest'
import { rig } from './rig.ts'

const orders = topic<string>('orders', { groups: [{ name: 'g', order: 'key' }], key: (body) => body.slice(0, 1) })

/** A broker that can be away, a producer that spools, and what a reader gets. */
async function spooling(held?: (held: Held) => Held) {
  let away = false
  let processes = 0
  const send = (through: Driver['send']): Driver['send'] => {
    // For the one that spools; the first of all only lends its store.
    const itself = ++processes <= 2
    return async (batch, control) =>
      away && itself
        ? batch.map(() => ({ ok: false as const, error: new MessagingError('unavailable', 'the broker is away') }))
        : through(batch, control)
  }
  const { broker, clock, another } = await rig({ apart: true, faults: { send, held } })
  const seen: string[] = []
  await broker.consume(orders, { group: 'g', order: 'key' }, async ({ body }) => void seen.push(body))
  const producer = broker.producer({ spool: true, sendTimeoutMs: 1_000 })
  return {
    broker,
    clock,
    another,
    seen,
    producer,
    goes: (is: boolean) => {
      away = is
    },
    /** Sends each after the one before has its answer, and says where it is held. */
    async held(...bodies: readonly string[]): Promise<string> {
      const places: string[] = []
      for (const body of bodies) {
        const sent = producer.send(orders, body)
        await clock.advance(1_100)
        places.push((await sent).held)
      }
      return places.join()
    },
    waiting: () => partsOf(broker.store).held?.count('ready'),
  }
}

it('a key goes to the broker again when another process has emptied its spool', async () => {
  const { broker, clock, another, seen, goes, held, waiting } = await spooling()
  goes(true)
  expect(await held('a1', 'a2')).toBe('spool,spool')
  const other = await another()
  await clock.advance(120_000)
  expect([seen, await waiting()]).toEqual([['a1', 'a2'], 0])
  goes(false)
  expect(await held('a3')).toBe('broker')
  for (const each of [other, broker]) await each.close()
})

it('what a process before has spooled comes before what this one sends of the key, though the store tells of it late', async () => {
  let down = false
  const { another, clock, goes, seen, held } = await spooling((inner) => ({
    ...inner,
    async range(query) {
      if (down) throw new MessagingError('unavailable', 'the store is away')
      return inner.range(query)
    },
  }))
  goes(true)
  expect(await held('a1', 'a2')).toBe('spool,spool')
  down = true
  const next = await another()
  const producer = next.producer({ spool: true, sendTimeoutMs: 1_000 })
  const early = producer.send(orders, 'a3')
  await clock.advance(1)
  expect((await early).held).toBe('spool')
  down = false
  await clock.advance(120_000)
  expect(seen).toEqual(['a1', 'a2', 'a3'])
  const late = producer.send(orders, 'a4')
  await clock.advance(1)
  expect((await late).held).toBe('broker')
  await next.close()
})

it('who closes while the broker is away waits for the relay no longer than for everything else, and the row stays', async () => {
  const { broker, another, clock, goes, held } = await spooling()
  goes(true)
  expect(await held('a1')).toBe('spool')
  const { held: rows } = partsOf(broker.store)
  let closed = false
  const closing = broker.close({ drainMs: 500 }).then(() => {
    closed = true
  })
  await clock.advance(1_000)
  expect(closed).toBe(true)
  await closing
  expect(await rows?.count('ready')).toBe(1)
  const next = await another()
  await clock.advance(120_000)
  expect(await rows?.count('ready')).toBe(0)
  await next.close()
})

it('a key whose message could not be spooled goes to the broker again', async () => {
  let full = true
  const { broker, clock, seen, goes, held } = await spooling((inner) => ({
    ...inner,
    insert: async (...row) => {
      if (full) throw new MessagingError('unavailable', 'the disk is full')
      await inner.insert(...row)
    },
  }))
  goes(true)
  const lost = broker.producer({ spool: true, sendTimeoutMs: 1_000 }).send(orders, 'a1')
  const refused = expect(lost).rejects.toThrow(/could not be spooled: the disk is full/)
  await clock.advance(2_000)
  await refused
  full = false
  goes(false)
  await clock.advance(10_000)
  expect(await held('a2')).toBe('broker')
  expect(seen).toEqual(['a2'])
  await broker.close()
})
