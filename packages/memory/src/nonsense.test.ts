// Handlers, extensions, schemas and responders that answer nonsense: each ends in a dead letter or an error that says what to mend.
import {
  type Broker,
  type ConsumeExtension,
  type ConsumeOptions,
  connectAdapter,
  type DeadLetter,
  fixed,
  isMessagingError,
  retry,
  topic,
} from '@posthorn/core'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { memory } from './index.ts'

const tries = retry({ attempts: 2, backoff: fixed(1) })
let broker: Broker
beforeEach(async () => {
  broker = await connectAdapter(memory(), { log: false })
})
afterEach(() => broker.close({ drainMs: 0 }))

/** The letter of one message that this handler was given, and what its consumer counts. */
async function letterOf(handler: unknown, options: object = {}) {
  const orders = topic<number>('orders')
  const letter = Promise.withResolvers<DeadLetter>()
  broker.on('dead-letter', letter.resolve)
  const asked = { group: 'g', use: [tries], ...options } as ConsumeOptions
  const consumer = await broker.consume(orders, asked, handler as never)
  await broker.producer().send(orders, 1)
  const { reason, attempts, error } = await letter.promise
  await expect.poll(() => consumer.stats().inFlight).toBe(0)
  return { reason, attempts, error, stats: consumer.stats() }
}

describe('a handler', () => {
  const { proxy: revoked, revoke } = Proxy.revocable({}, {})
  revoke()
  const unreadable = {
    'a proxy that lets nobody look': new Proxy({}, { get: thrower }),
    'a revoked proxy': revoked,
    'an error whose message throws': Object.defineProperty(new Error('x'), 'message', { get: thrower }),
  }
  for (const [name, error] of Object.entries(unreadable))
    it(`that throws ${name} uses up its tries`, async () => {
      const {
        attempts,
        reason,
        error: text,
      } = await letterOf(async () => {
        throw error
      })
      expect({ attempts, reason, text }).toEqual({
        attempts: 2,
        reason: 'attempts',
        text: 'a value that cannot be shown was thrown',
      })
    })

  it('that returns a thenable which answers twice has answered once', async () => {
    const orders = topic<number>('orders')
    const handler = () => ({
      // biome-ignore lint/suspicious/noThenProperty: that is the point.
      then(resolve: () => void, reject: (error: unknown) => void) {
        resolve()
        reject(new Error('after all'))
        resolve()
      },
    })
    const consumer = await broker.consume(orders, { group: 'g' }, handler as never)
    await broker.producer().send(orders, 1)
    await expect.poll(() => consumer.stats()).toEqual({ handled: 1, failed: 0, inFlight: 0 })
  })

  const thenables = {
    // biome-ignore lint/suspicious/noThenProperty: that is the point.
    'throws when it is asked': { then: thrower },
    'cannot be asked': Object.defineProperty({}, 'then', { get: thrower }),
  }
  for (const [name, answer] of Object.entries(thenables))
    it(`that returns a thenable which ${name} has failed`, async () => {
      expect(await letterOf(() => answer)).toMatchObject({ attempts: 2, error: 'Error: no' })
    })

  it('that returns a reject without a reason is told so', async () => {
    const { error } = await letterOf(async () => ({ verdict: 'reject' }))
    expect(error).toMatch(/the handler returned a reject without a reason; give reject\(reason\)/)
  })

  for (const answer of [[], [undefined, undefined]])
    it(`of batches that returns ${answer.length} verdicts for one message is told so, and none of them counts`, async () => {
      const { error, stats } = await letterOf(async () => answer, { batch: { size: 5, waitMs: 1 } })
      expect(error).toMatch(new RegExp(`the handler returned ${answer.length} verdicts for 1 messages; return one for`))
      expect(stats).toEqual({ handled: 0, failed: 2, inFlight: 0 })
    })
})

describe('an extension', () => {
  it('that forgets the verdict of what stands inside does not acknowledge what that rejected', async () => {
    const forgets: ConsumeExtension = {
      name: 'forgets',
      consume: (next) => (async (delivery: never) => void (await next(delivery))) as never,
    }
    const { error } = await letterOf(async () => ({ verdict: 'reject', reason: 'no' }), { use: [tries, forgets] })
    expect(error).toMatch(/an extension in `use` returned no verdict; return what next\(delivery\) resolves with/)
  })

  it('that makes no function is refused at the start', async () => {
    const asked = broker.consume(topic('orders'), { group: 'g', use: [{ consume: () => 5 as never }] }, async () => {})
    await expect(asked).rejects.toThrow(/an extension in `use` answered 5; let it answer a function: \(next\) =>/)
    const producer = () => broker.producer({ use: [{ send: () => undefined as never }] })
    expect(producer).toThrow(/an extension in `use` answered undefined; let it answer a function/)
  })
})

describe('a schema', () => {
  const answers: readonly [string, () => unknown, RegExp][] = [
    ['throws', thrower, /its schema failed: Error: no/],
    ['rejects', () => Promise.reject(undefined), /its schema failed: undefined was thrown/],
    ['answers nothing', () => undefined, /its schema answered undefined; a Standard Schema answers/],
    ['answers a number', () => 5, /its schema answered 5; a Standard Schema answers/],
    ['answers issues that are no list', () => ({ issues: 'bad' }), /refused by its schema, which does not say why/],
    ['answers no issue', () => ({ issues: [] }), /refused by its schema, which does not say why/],
  ]
  for (const [name, validate, says] of answers)
    it(`that ${name} refuses the body by name`, async () => {
      const schema = { '~standard': { version: 1 as const, vendor: 'test', validate: validate as never } }
      const sent = broker.producer().send(topic('orders', { schema }), 1 as never)
      const error = await sent.catch((caught: unknown) => caught)
      expect(isMessagingError(error, 'invalid')).toBe(true)
      expect((error as Error).message).toMatch(says)
      expect((error as Error).message).toMatch(/the body for orders/)
    })

  it('that never answers is named when the deadline has come', async () => {
    const schema = {
      '~standard': { version: 1 as const, vendor: 'test', validate: () => new Promise<never>(() => {}) },
    }
    const sent = broker.producer({ sendTimeoutMs: 20 }).send(topic('orders', { schema }), 1 as never)
    await expect(sent).rejects.toThrow(/its codec or its schema had not answered/)
  })
})

describe('a responder', () => {
  it('whose answer cannot be written says so to who asked', async () => {
    const quotes = topic<number>('quotes')
    await broker.respond(quotes, { group: 'r' }, async () => 5n)
    const asked = broker.request(quotes, 1, { timeoutMs: 2_000 })
    await expect(asked).rejects.toThrow(/the responder failed: MessagingError: json: .* a bigint has no form in JSON/)
  })
})

function thrower(): never {
  throw new Error('no')
}
