import assert from 'node:assert/strict'
import { fixed, nack, reject, retry } from '@posthorn/core'
import { transcript } from '../../transcript.ts'
import { broker, letters, topicFor } from '../broker-stage.ts'
import type { Chapter } from '../scenario.ts'

/** The same run on every transport leaves the same transcript. */
export const comparing: Chapter = {
  name: 'transcript',
  layer: 'broker',
  scenarios: [
    {
      id: 'comparing.same-everywhere',
      says: 'a run with retries, hand-backs, rejections and two groups leaves the same transcript on every transport',
      run: async (stage) => {
        const one = await broker(stage)
        const orders = topicFor<{ key: string; n: number }>(stage, {
          key: ({ key }) => key,
          groups: ['a', 'b'],
        })
        const record = transcript()
        const use = [retry({ attempts: 3, backoff: fixed(10) }), record.extension]
        await one.consume(orders, { group: 'a', use }, async ({ body: { key, n }, attempt }) => {
          if (key === 'fails' && n === 1 && attempt < 3) throw new Error('not yet')
          if (key === 'dies' && n === 1) throw new Error('never')
          if (key === 'goes back' && n === 0 && attempt === 1) return nack({ afterMs: 20 })
          if (key === 'is refused' && n === 0) return reject('no')
        })
        await one.consume(orders, { group: 'b', use }, async () => {})
        const keys = ['fails', 'dies', 'goes back', 'is refused', 'is fine']
        const producer = one.producer()
        for (let n = 0; n < 3; n++) for (const key of keys) await producer.send(orders, { key, n })
        await letters(stage, one.deadLetters(orders, { group: 'a' }), 2)
        await stage.until('all is handled', () => record.lines.length >= 35)
        const seen = record.normalised().replaceAll(orders.name, 'orders').split('\n')
        const line = (group: string, key: string, n: number, attempt: number, verdict: string): string =>
          `orders ${group} ${key} {"key":"${key}","n":${n}} ${attempt} ${verdict}`
        const a = (key: string, ...steps: readonly [number, number, string][]): string[] =>
          steps.map(([n, attempt, verdict]) => line('a', key, n, attempt, verdict))
        const [first, second, third] = [
          [0, 1, 'ack'],
          [1, 1, 'ack'],
          [2, 1, 'ack'],
        ] as const
        assert.deepEqual(seen, [
          ...a('dies', [...first], [1, 1, 'threw'], [1, 2, 'threw'], [1, 3, 'threw'], [...third]),
          ...a('fails', [...first], [1, 1, 'threw'], [1, 2, 'threw'], [1, 3, 'ack'], [...third]),
          ...a('goes back', [0, 1, 'nack'], [0, 2, 'ack'], [...second], [...third]),
          ...a('is fine', [...first], [...second], [...third]),
          ...a('is refused', [0, 1, 'reject'], [...second], [...third]),
          ...[...keys].sort().flatMap((key) => [0, 1, 2].map((n) => line('b', key, n, 1, 'ack'))),
        ])
      },
    },
  ],
}
