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

it('the spool keeps what cannot be sent, gives it in order when the broker is back, and nothing is left', async () => {
  const { broker, clock, seen, goes, held, waiting } = await spooling()
  goes(true)
  expect(await held('a1', 'b1', 'a2')).toBe('spool,spool,spool')
  await clock.advance(60_000)
  expect([seen, await waiting()]).toEqual([[], 3])
  goes(false)
  expect(await held('a3')).toBe('spool')
  await clock.advance(120_000)
  expect(seen.filter((body) => body !== 'b1')).toEqual(['a1', 'a2', 'a3'])
  expect(seen).toContain('b1')
  expect(await waiting()).toBe(0)
  expect(await held('a4')).toBe('broker')
  await broker.close()
})

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
