import { isMessagingError, retry, topic } from '@posthorn/core'
import { expect, it } from 'vitest'
import { idempotent } from './idempotent.ts'
import { rig } from './rig.ts'
import { timeout } from './timeout.ts'

const prices = topic<string>('prices', { groups: ['shop'] })

/** What an asker gets: the answer, or the code and the words of the error. */
async function asking() {
  const { broker, clock, takes } = await rig()
  return {
    broker,
    takes,
    async ask(sku: string, id?: string): Promise<unknown> {
      const answer = broker.request(prices, sku, { timeoutMs: 5_000, id }).catch((error: unknown) => {
        if (!isMessagingError(error)) throw error
        return `${error.code} ${error.message}`
      })
      await clock.advance(6_000)
      return answer
    },
  }
}

it('rule 22: a responder whose time-out is over answers so, once, and its handler is not run again', async () => {
  const { broker, takes, ask } = await asking()
  let runs = 0
  await broker.respond(prices, { group: 'shop', use: [timeout(50)] }, async () => {
    runs++
    await takes(300)
    return 1
  })
  expect(await ask('slow')).toMatch(/^remote .*took more than 50 ms/)
  expect(runs).toBe(1)
  await broker.close()
})

it('what an extension throws is the answer, too', async () => {
  const { broker, ask } = await asking()
  let runs = 0
  const use = [{ consume: () => () => Promise.reject(new Error('not today')) }]
  await broker.respond(prices, { group: 'shop', use }, async () => ++runs)
  expect(await ask('any')).toMatch(/^remote .*not today/)
  expect(runs).toBe(0)
  await broker.close()
})

it('a request that comes twice gets the answer of the first again, where a claim keeps it', async () => {
  const { broker, ask } = await asking()
  let runs = 0
  const use = [idempotent({ mode: 'claim' })]
  await broker.respond(prices, { group: 'shop', use }, async ({ body }) => ({ sku: body, run: ++runs }))
  const first = { sku: 'lamp', run: 1 }
  expect([await ask('lamp', 'one'), await ask('lamp', 'one')]).toEqual([first, first])
  expect(await ask('chair', 'two')).toEqual({ sku: 'chair', run: 2 })
  await broker.close()
})

it('what would try again is refused by name', async () => {
  const { broker } = await asking()
  const refused = (asked: object) => expect(broker.respond(prices, { group: 'shop', ...asked }, async () => 1)).rejects
  await refused({ use: [retry({ attempts: 2 })] }).toThrow(/a responder answers each request once, .*retry\(\)/)
  await refused({ onFailure: 'block' }).toThrow(/onFailure: 'block'.*leave it out/)
  await broker.respond(prices, { group: 'shop', onFailure: 'skip' }, async () => 1)
  await broker.close()
})
