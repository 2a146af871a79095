import assert from 'node:assert/strict'
import { isMessagingError } from '@posthorn/core'
import { broker, refused, topicFor } from '../broker-stage.ts'
import type { Chapter } from '../scenario.ts'

/** Request and reply. */
export const asking: Chapter = {
  name: 'request and reply',
  layer: 'broker',
  scenarios: [
    {
      id: 'asking.answer',
      says: 'a request resolves with the answer, also from another connection, and many at once each with their own',
      run: async (stage) => {
        const [one, two] = [await broker(stage), await broker(stage)]
        const quotes = topicFor<{ n: number }>(stage)
        await two.respond(quotes, { group: 'g' }, async ({ body }) => ({ twice: body.n * 2 }))
        const answers = await Promise.all(
          Array.from({ length: 20 }, (_, n) =>
            one.request<{ n: number }, { twice: number }>(quotes, { n }, { timeoutMs: stage.patienceMs }),
          ),
        )
        assert.deepEqual(
          answers.map(({ twice }) => twice),
          Array.from({ length: 20 }, (_, n) => n * 2),
        )
      },
    },
    {
      id: 'asking.failure',
      says: 'rule 22: a responder that throws answers an error, once, and never tries again',
      run: async (stage) => {
        const one = await broker(stage)
        const quotes = topicFor<number>(stage)
        let starts = 0
        await one.respond(quotes, { group: 'g' }, async () => {
          starts++
          throw new Error('out of stock')
        })
        await refused('remote', () => one.request(quotes, 1, { timeoutMs: stage.patienceMs }), /out of stock/)
        await new Promise((resolve) => setTimeout(resolve, stage.quietMs))
        assert.equal(starts, 1)
      },
    },
    {
      id: 'asking.timeout',
      says: 'a request that nobody answers rejects at its deadline as timeout, of unknown outcome',
      run: async (stage) => {
        const one = await broker(stage)
        const quotes = topicFor<number>(stage)
        const asked = one.request(quotes, 1, { timeoutMs: 300 }).then(
          () => undefined,
          (error: unknown) => error,
        )
        await stage.pass(300)
        const error = await stage.within('the request', stage.patienceMs, asked)
        assert.ok(isMessagingError(error, 'timeout'), String(error))
        assert.equal(error.outcome, 'unknown')
      },
    },
    {
      id: 'asking.rule-22-dead-address',
      says: 'rule 22: a request whose asker has gone is handled, and the responder goes on',
      run: async (stage) => {
        const [one, two] = [await broker(stage), await broker(stage)]
        const quotes = topicFor<number>(stage)
        const stop = new AbortController()
        const asked = one.request(quotes, 1, { timeoutMs: 60_000, signal: stop.signal }).catch(() => {})
        let release = (): void => {}
        const gate = new Promise<void>((resolve) => {
          release = resolve
        })
        const begun: number[] = []
        const handled: number[] = []
        await two.respond(quotes, { group: 'g' }, async ({ body }) => {
          begun.push(body)
          if (body === 1) await gate
          handled.push(body)
          return body
        })
        await stage.until('the request is in hand', () => begun.includes(1))
        stop.abort()
        await asked
        await one.close()
        release()
        const three = await broker(stage)
        assert.equal(await three.request(quotes, 2, { timeoutMs: stage.patienceMs }), 2)
        await stage.until('both are handled', () => handled.includes(1) && handled.includes(2))
      },
    },
  ],
}
