// What a user passes by mistake: each extension names the option and says what to give.
import { MessagingError, topic } from '@posthorn/core'
import { expect, test } from 'vitest'
import * as extensions from './index.ts'

const calls = extensions as unknown as Readonly<Record<string, (options?: unknown) => unknown>>
const of = (): { readonly key: string; readonly version: number } => ({ key: 'k', version: 1 })
const orders = topic('orders')

/** What is right, and so what the wrong is made of. */
const right: Readonly<Record<string, object>> = {
  adaptive: { targetMs: 50, max: 4, min: 1, errorRate: 0.5, changed() {} },
  breaker: { failures: 3, openMs: 1_000, when: () => true },
  bulkhead: { max: 2, queue: Number.POSITIVE_INFINITY },
  rateLimit: { perSecond: 0.5, burst: 1, scope: 'group' },
  retryBudget: { ratio: 0, perSecond: 0.1 },
  skipOlder: { olderThanMs: 1_000, consent: 'discard', skipped() {} },
  newestFirst: { asideMs: 1_000 },
  pauseOnBurst: { of: orders, group: 'g', above: 10, below: 0, atMostMs: 5, changed() {} },
  newerOnly: { table: 'orders', key: 'id', version: 'version', of, otherwise: 'retry' },
  transitions: { table: 'orders', state: 'state', allowed: { a: [] }, of, otherwise: 'skip' },
  idempotent: { by: () => 'x', windowMs: 5, mode: 'transaction', whenStoreIsAway: 'run', table: { name: 'seen' } },
}

test('what is right is taken', () => {
  for (const [name, options] of Object.entries(right)) expect(calls[name]?.(options), name).toHaveProperty('name')
})

function refusal(name: string, options: unknown): string {
  try {
    calls[name]?.(options)
  } catch (error) {
    expect(error, name).toBeInstanceOf(MessagingError)
    expect(error).toMatchObject({ code: 'invalid' })
    return (error as Error).message
  }
  return 'nothing was refused'
}

test.each([
  ['adaptive', 'targetMs'],
  ['breaker', 'failures'],
  ['bulkhead', 'max'],
  ['rateLimit', 'perSecond'],
  ['skipOlder', 'olderThanMs'],
  ['pauseOnBurst', 'of'],
  ['newerOnly', 'table'],
  ['transitions', 'table'],
  ['timeout', 'ms'],
])('%s() without arguments says that %s is missing', (name, option) => {
  expect(refusal(name, undefined)).toMatch(new RegExp(`^${name}\\(\\): ${option} is undefined; give `))
})

test.each(Object.keys(right))('%s: no object, and a name with a slip in it', (name) => {
  for (const wrong of [null, 5, 'x', []]) expect(refusal(name, wrong)).toMatch(/its options are .*; give an object$/)
  for (const option of Object.keys(right[name] as object)) {
    const slip = `${option}x`
    expect(refusal(name, { ...right[name], [slip]: 1 })).toBe(
      `${name}(): there is no option "${slip}"; did you mean ${option}?`,
    )
    if (option !== 'store')
      expect(refusal(name, { ...right[name], [option]: null })).toContain(`${option} is null; give`)
  }
})

test.each([
  ['rateLimit', { perSecond: 5, burts: 1 }, 'did you mean burst?'],
  ['bulkhead', { max: 2, que: 1 }, 'did you mean queue?'],
  ['breaker', { failures: 3, openMs: 5, wen: () => true }, 'did you mean when?'],
  ['idempotent', { window: 5 }, 'did you mean windowMs?'],
  ['idempotent', { mode: 'x' }, "mode is \"x\"; give 'transaction' or 'claim'"],
  ['idempotent', { table: { nam: 'seen' } }, 'did you mean name?'],
  ['idempotent', { table: {} }, 'table: name is undefined'],
  ['adaptive', { targetMs: 5, max: 2, min: 3 }, 'not below min, which is 3'],
  ['rateLimit', { perSecond: 0 }, 'perSecond is 0; give a number from'],
  ['skipOlder', { olderThanMs: 5, consent: 'yes' }, "give 'discard' if you mean it"],
  ['timeout', Number.NaN, 'ms is NaN; give ms from 1'],
])('%s(%o)', (name, options, says) => {
  expect(refusal(name, options)).toContain(says)
})
