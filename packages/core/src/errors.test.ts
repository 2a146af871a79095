import { expect, test } from 'vitest'
import { describe, errorCodes, isMessagingError, MessagingError } from './errors.ts'
import { isUnrecoverable, Unrecoverable } from './retry.ts'

/** The same file loaded once more, as where two versions of the package are installed. */
const another = <T>(file: string): Promise<T> => import(/* @vite-ignore */ `${file}?another`) as Promise<T>

test('an error of another copy of the package is one of ours, by its mark and not by its class', async () => {
  const other = await another<typeof import('./errors.ts')>('./errors.ts')
  const error = new other.MessagingError('timeout', 'too late', { outcome: 'unknown' })
  expect(error).not.toBeInstanceOf(MessagingError)
  expect(isMessagingError(error)).toBe(true)
  expect([isMessagingError(error, 'timeout', 'closed'), isMessagingError(error, 'closed')]).toEqual([true, false])
  const { Unrecoverable: Theirs } = await another<typeof import('./retry.ts')>('./retry.ts')
  expect(new Theirs('no')).not.toBeInstanceOf(Unrecoverable)
  expect(isUnrecoverable(new Theirs('no'))).toBe(true)
  for (const stranger of [new Error('x'), { code: 'timeout' }, 'timeout', null, undefined])
    expect(isMessagingError(stranger)).toBe(false)
})

test('three codes may pass by themselves; an error failed unless it says that nobody knows', () => {
  const retryable = Object.keys(errorCodes).filter((code) => new MessagingError(code as 'timeout', 'x').retryable)
  expect(retryable).toEqual(['unavailable', 'timeout', 'throttled'])
  expect(new MessagingError('timeout', 'x')).toMatchObject({ outcome: 'failed', issues: [] })
  expect('cause' in new MessagingError('timeout', 'x')).toBe(false)
  expect(JSON.parse(JSON.stringify(new MessagingError('closed', 'it is over')))).toEqual({
    name: 'MessagingError',
    code: 'closed',
    message: 'it is over',
    retryable: false,
    outcome: 'failed',
    issues: [],
  })
})

test('whatever was thrown is described in a line that shows no secret', () => {
  const nobody = new Proxy(new Error('x'), {
    get() {
      throw new Error('not to be read')
    },
  })
  expect([undefined, 5, new TypeError('no such thing'), new Error(), nobody].map(describe)).toEqual([
    'undefined was thrown',
    '5',
    'TypeError: no such thing',
    'Error',
    'a value that cannot be shown was thrown',
  ])
  expect(describe({ status: 401, password: 'hunter2', apiKey: 'k', nested: { token: 't' } })).toBe(
    '{"status":401,"password":"***","apiKey":"***","nested":{"token":"***"}}',
  )
})
