import assert from 'node:assert/strict'
import { ack, pattern, reject, retry } from '@posthorn/core'
import { broker, calls, letters, refused, topicFor } from '../broker-stage.ts'
import type { Chapter } from '../scenario.ts'

const handler = async (): Promise<void> => {}
const nobody = undefined as never

/** Calls with something missing, misspelt or meaningless: refused by name where they are made, and nothing of them does harm. */
export const refusingCalls: Chapter = {
  name: 'bad calls',
  layer: 'broker',
  scenarios: [
    {
      id: 'refusing.consumers',
      says: 'a consumer without options, with a misspelt one, without a handler or with a middleware that is none is refused as invalid',
      run: async (stage) => {
        const one = await broker(stage)
        const orders = topicFor<number>(stage)
        const misspelt = { group: 'g', grupe: 'g' } as never
        const group = { group: 'g' }
        await refused('invalid', () => one.consume(orders, nobody, handler), /consume/)
        await refused('invalid', () => one.pull(orders, nobody), /pull/)
        await refused('invalid', () => one.pull(orders, misspelt), /grupe/)
        await refused('invalid', () => one.explain(orders, nobody), /explain/)
        await refused('invalid', () => one.explain(orders, misspelt), /grupe/)
        await refused('invalid', () => one.respond(orders, nobody, handler), /respond/)
        await refused('invalid', () => one.respond(orders, misspelt, handler), /grupe/)
        await refused('invalid', () => one.respond(orders, group, nobody), /handler/)
        for (const use of [[5], [undefined], [{ consume: 'no' }], [{ send: () => {} }]])
          await refused('invalid', () => one.consume(orders, { ...group, use: use as never }, handler), /use/)
        for (const use of [[5], [{}]]) await refused('invalid', () => broker(stage, { use: use as never }), /use/)
        await refused('invalid', () => one.lag(orders, nobody), /group/)
        await refused('invalid', () => one.lag(orders, misspelt), /grupe/)
        await refused('invalid', () => one.on('sent', nobody), /listener/)
        await refused(/invalid|unsupported/, () => one.checkHalf(orders, nobody))
      },
    },
    {
      id: 'refusing.requests',
      says: 'a request without a topic or a time is refused as invalid, one whose signal has fired as aborted, and nothing of them stays',
      run: async (stage) => {
        const one = await broker(stage)
        const quotes = topicFor<number>(stage)
        await refused('invalid', () => one.request(nobody, 1, { timeoutMs: 1 }), /topic/)
        await refused('invalid', () => one.request(quotes, 1, nobody), /timeoutMs/)
        await refused('aborted', () => one.request(quotes, 1, { timeoutMs: 60_000, signal: AbortSignal.abort() }))
        await one.respond(quotes, { group: 'g' }, async ({ body }) => body)
        assert.equal(await one.request(quotes, 3, { timeoutMs: stage.patienceMs }), 3)
      },
    },
    {
      id: 'refusing.letters',
      says: 'dead letters are not discarded or redriven by a call that is misspelt, lacks its `where`, or answers with a promise',
      run: async (stage) => {
        const one = await broker(stage)
        const orders = topicFor<number>(stage)
        await one.consume(orders, { group: 'g' }, async () => reject('no'))
        await one.producer().send(orders, 1)
        const dead = one.deadLetters(orders, { group: 'g' })
        await letters(stage, dead, 1)
        await refused(
          'invalid',
          () => one.deadLetters(pattern('orders.*'), { grupe: 'g' } as never),
          /grupe|each topic/,
        )
        await refused('invalid', () => dead.discard(nobody), /where/)
        await refused('invalid', () => dead.discard({} as never), /where/)
        await refused('invalid', () => dead.discard({ were: () => false } as never), /were/)
        await refused('invalid', () => dead.discard({ where: (async () => false) as never }), /promise/)
        await refused('invalid', () => dead.redrive({ dryrun: true } as never), /dryrun/)
        await refused('invalid', () => dead.redrive({ ratePerSecond: 0 }), /ratePerSecond/)
        for (const options of [{ limit: 'all' }, { limit: -1 }, { were: 1 }, null])
          await refused('invalid', () =>
            dead
              .list(options as never)
              [Symbol.asyncIterator]()
              .next(),
          )
        assert.equal((await letters(stage, dead, 1)).length, 1)
      },
    },
    {
      id: 'refusing.receives',
      says: 'a receive without a count or a time and a settlement with nonsense are refused, and the delivery stays in hand',
      run: async (stage) => {
        const one = await broker(stage)
        const orders = topicFor<number>(stage)
        await one.producer().send(orders, 1)
        const puller = one.pull(orders, { group: 'g', order: 'none' })
        stage.after(() => puller.close())
        await refused('invalid', () => puller.receive(nobody), /max/)
        await refused('invalid', () => puller.receive({ max: 1 } as never), /waitMs/)
        for (const max of [0, -1, 1.5, Number.NaN, '1'])
          await refused('invalid', () => puller.receive({ max: max as never, waitMs: 1 }), /max/)
        await refused('invalid', () => puller.receive({ max: 1, waitMs: Number.NaN }), /waitMs/)
        const [delivery] = await puller.receive({ max: 1, waitMs: stage.patienceMs })
        for (const nonsense of [undefined, null, 'ack', {}, { verdict: 'nack', afterMs: -1 }])
          await refused('invalid', () => delivery?.settle(nonsense as never))
        assert.equal(await delivery?.settle(ack()), 'ok')
        const late = one.pull(orders, { group: 'g', signal: AbortSignal.abort() })
        await refused('closed', () => late.receive({ max: 1, waitMs: 1 }))
      },
    },
    {
      id: 'refusing.at-most-once',
      says: 'what tries again is refused beside at-most-once, which has nothing left to try',
      run: async (stage) => {
        const one = await broker(stage)
        const orders = topicFor<number>(stage, { key: () => 'k' })
        const asked = { group: 'g', guarantee: 'at-most-once' } as const
        for (const more of [{ onFailure: 'block' }, { onFailure: 'park' }, { use: [retry({ attempts: 2 })] }] as const)
          await refused('unsupported', () => one.consume(orders, { ...asked, ...more }, handler), /at-most-once/)
        const lines: string[] = []
        const two = await broker(stage, { log: (line) => void lines.push(line) })
        await two.consume(orders, asked, async () => {
          throw new Error('out of stock')
        })
        await two.producer().send(orders, 1)
        await stage.until('the loss is said', () => lines.some((line) => /out of stock/.test(line)))
      },
    },
    {
      id: 'refusing.positions',
      says: 'what is no position is refused as invalid by consume, seek and replay, and the consumer goes on',
      needs: ['replay'],
      run: async (stage) => {
        const one = (await broker(stage)).having('replay')
        assert.ok(one !== undefined)
        const orders = topicFor<number>(stage)
        const from = { position: 'nonsense' }
        await refused('invalid', () => one.consume(orders, { group: 'other', from }, handler), /nonsense/)
        await refused('invalid', () => one.replay(orders, {} as never, handler), /from/)
        await refused('invalid', () => one.replay(orders, { from: 'earliest', to: 'earliest' as never }, handler), /to/)
        await refused('invalid', async () => (await one.replay(orders, { from }, handler)).done, /nonsense/)
        await refused(
          'invalid',
          async () => (await one.replay(orders, { from: 'earliest', to: from }, handler)).done,
          /nonsense/,
        )
        const seen = calls<number>(stage)
        const consumer = await one.consume(orders, { group: 'g' }, seen.handler)
        await refused('invalid', () => consumer.seek(from), /nonsense/)
        await one.producer().send(orders, 1)
        await seen.reached(1)
        await consumer.stop()
        await refused('closed', () => consumer.seek('earliest'))
      },
      refused: async (stage) => {
        assert.equal((await broker(stage)).having('replay'), undefined)
      },
    },
    {
      id: 'refusing.listeners',
      says: 'a listener that throws, also later by its promise, harms neither the message nor the process',
      run: async (stage) => {
        const lines: string[] = []
        const one = await broker(stage, { log: (line) => void lines.push(line) })
        const orders = topicFor<number>(stage)
        one.on('sent', (async () => {
          throw new Error('by its promise')
        }) as never)
        one.on('handled', () => {
          throw new Error('at once')
        })
        const seen = calls<number>(stage)
        await one.consume(orders, { group: 'g' }, seen.handler)
        await one.producer().send(orders, 1)
        await seen.reached(1)
        for (const said of [/at once/, /by its promise/])
          await stage.until('it is said', () => lines.some((line) => said.test(line)))
        await seen.noMore()
      },
    },
  ],
}
