// The classic mistakes about dead letters, parked keys and half messages, by name.
import { type DeadLetter, fixed, isMessagingError, MessagingError, retry, topic } from '@posthorn/core'
import type { Driver, Held } from '@posthorn/core/driver'
import { describe, expect, it } from 'vitest'
import { immunityMs } from './half.ts'
import { rig } from './rig.ts'

const plain = topic<number>('plain', { groups: ['g'] })
const work = topic<{ key: string; n: number }>('work', { groups: [{ name: 'g', order: 'key' }], key: ({ key }) => key })
const options = { group: 'g', use: [retry({ attempts: 2, backoff: fixed(10) })] }
const failing = async (): Promise<never> => {
  throw new Error('no')
}

/** A driver that refuses letters as long as `refused` says how. */
const refusingLetters =
  (refused: (history: number) => MessagingError | undefined) =>
  (send: Driver['send']): Driver['send'] =>
  async (batch, control) => {
    for (const { letter, history } of batch) {
      const error = letter === undefined ? undefined : refused(history.length)
      if (error !== undefined) return batch.map(() => ({ ok: false as const, error }))
    }
    return send(batch, control)
  }

async function lettersOf<T>(shelf: { list(): AsyncIterable<DeadLetter<T>> }): Promise<DeadLetter<T>[]> {
  const found: DeadLetter<T>[] = []
  for await (const letter of shelf.list()) found.push(letter)
  return found
}

describe('dead letters', () => {
  it('ack-then-publish: nothing is acknowledged before its letter is confirmed', async () => {
    let away = true
    const down = new MessagingError('unavailable', 'the shelf is away')
    const { broker, clock } = await rig({ faults: { send: refusingLetters(() => (away ? down : undefined)) } })
    await broker.consume(plain, options, failing)
    await broker.producer().send(plain, 1)
    await clock.advance(60_000)
    expect((await broker.lag(plain, { group: 'g' })).backlog).toBe(1)
    expect(await lettersOf(broker.deadLetters(plain, { group: 'g' }))).toEqual([])
    away = false
    await clock.advance(60_000)
    expect((await broker.lag(plain, { group: 'g' })).backlog).toBe(0)
    expect(await lettersOf(broker.deadLetters(plain, { group: 'g' }))).toHaveLength(1)
    await broker.close()
  })

  it('a letter too large for its own history: the message matters more', async () => {
    const large = new MessagingError('too-large', 'with its history it is too large')
    const { broker, clock } = await rig({
      faults: { send: refusingLetters((history) => (history > 0 ? large : undefined)) },
    })
    await broker.consume(plain, options, failing)
    await broker.producer().send(plain, 7)
    await clock.advance(10_000)
    const letters = await lettersOf(broker.deadLetters(plain, { group: 'g' }))
    expect(letters.map(({ body, reason, error, history }) => [body, reason, error, history])).toEqual([
      [7, 'attempts', 'Error: no', []],
    ])
    await broker.close()
  })
})

describe('parked keys', () => {
  it('a park in memory: the process that parked dies, and another keeps the key waiting and its order', async () => {
    const { broker, clock, another } = await rig()
    const parking = { ...options, order: 'key', onFailure: 'park' } as const
    const first = await another()
    await first.consume(work, parking, async ({ body }) => {
      if (body.n === 1) throw new Error('no')
    })
    await broker.producer().send(work, { key: 'a', n: 1 })
    await clock.advance(1_000)
    await Promise.all([first.close(), clock.advance(1_000)])
    const seen: string[] = []
    await broker.consume(work, parking, async ({ body }) => void seen.push(`${body.key}${body.n}`))
    for (const [key, n] of [
      ['a', 2],
      ['b', 1],
    ] as const)
      await broker.producer().send(work, { key, n })
    await clock.advance(10_000)
    expect(seen).toEqual(['b1'])
    await broker.deadLetters(work, { group: 'g' }).redrive()
    await clock.advance(10_000)
    expect(seen).toEqual(['b1', 'a1', 'a2'])
    await broker.close()
  })
})

describe('half messages', () => {
  it('a lost answer to the commit taken for a failure: the caller is told that nobody knows, and the check finds out', async () => {
    let lost = true
    const losing = (held: Held): Held => ({
      ...held,
      async change(ref, expect, to, tx) {
        if (to?.state === 'ready' && lost) {
          lost = false
          throw new MessagingError('unavailable', 'the answer was lost')
        }
        return held.change(ref, expect, to, tx)
      },
    })
    const { broker, clock } = await rig({ apart: true, faults: { held: losing } })
    const seen: number[] = []
    let committed = false
    await broker.consume(plain, { group: 'g' }, async ({ body }) => void seen.push(body))
    broker.checkHalf(plain, async () => (committed ? 'commit' : 'rollback'))
    const error = await broker
      .producer()
      .sendHalf(plain, 1, async () => {
        committed = true
      })
      .catch((thrown: unknown) => thrown)
    expect(isMessagingError(error, 'unavailable') && error.outcome).toBe('unknown')
    await clock.advance(3 * immunityMs)
    expect(seen).toEqual([1])
    await broker.close()
  })
})
