// What a handler answers and how long it waits: a slip is refused where it is made, not read as something else.
import { expect, test } from 'vitest'
import { delayLevel, exponential, fixed, list } from './backoff.ts'
import { ack, nack, reject } from './verdict.ts'

/** Any call, as from JavaScript. */
const loose = (call: unknown): ((...given: readonly unknown[]) => unknown) => call as never
const refused = (says: string): object =>
  expect.objectContaining({ code: 'invalid', message: expect.stringContaining(says) })

test('verdicts', () => {
  expect(ack()).toEqual({ verdict: 'ack' })
  expect(nack()).toEqual({ verdict: 'nack', afterMs: undefined })
  expect(nack({ afterMs: 60_000 })).toEqual({ verdict: 'nack', afterMs: 60_000 })
  expect(reject('old')).toEqual({ verdict: 'reject', reason: 'old' })
})

test.each([
  ['nack', nack, [{ after: 60_000 }], 'nack(): there is no option "after"; did you mean afterMs?'],
  ['nack', nack, [{ delay: 5 }], 'nack(): there is no option "delay"; there are afterMs'],
  ['nack', nack, [5], 'nack(): its options are 5; give an object'],
  ['nack', nack, [{ afterMs: -1 }], 'nack(): afterMs is -1; give ms from 0'],
  ['nack', nack, [{ afterMs: Number.NaN }], 'afterMs is NaN'],
  ['reject', reject, [], 'reject(): the reason is undefined; give the reason as a text'],
  ['reject', reject, [new Error('x')], 'the reason is an object'],
  ['exponential', exponential, [], 'exponential(): firstMs is undefined; give ms from 0'],
  ['exponential', exponential, [{ firstMs: 5 }], 'maxMs is undefined'],
  ['exponential', exponential, [{ firstMs: 5, maxMs: 50, jiter: 'none' }], 'did you mean jitter?'],
  [
    'exponential',
    exponential,
    [{ firstMs: 5, maxMs: 50, jitter: 'nope' }],
    "jitter is \"nope\"; give 'full' or 'none'",
  ],
  ['exponential', exponential, [{ firstMs: 5, maxMs: 50, factor: 0.5 }], 'factor is 0.5; give a number from 1 to 100'],
  ['exponential', exponential, [{ firstMs: 5, maxMs: 1 }], 'exponential(): maxMs is 1; give no less than firstMs (5)'],
  ['fixed', fixed, [], 'fixed(): ms is undefined'],
  ['fixed', fixed, ['5'], 'ms is "5"'],
  ['list', list, [5, -1], 'one of its waits is -1'],
  ['delayLevel', delayLevel, [19], 'the level is 19; give a whole number from 1 to 18'],
] as const)('%s(%3$j)', (_, call, given, says) => {
  expect(() => loose(call)(...given)).toThrow(refused(says) as Error)
})
