// Ways in which what is told of a send may be wrong.
import type { SendResult } from '@posthorn/core/driver'
import { MessagingError } from '@posthorn/core/driver'
import { always, but, type DefectKind, hanging, seldom } from './place.ts'

const held: SendResult = { ok: true, position: undefined }

/** Changes what is told of each message. */
function telling(
  sentence: string,
  fits: (result: SendResult) => boolean,
  change: (result: SendResult) => SendResult,
  place = always,
): DefectKind {
  return {
    sentence,
    place,
    wrap: (driver, strike) =>
      but(driver, {
        send: async (batch, control) =>
          (await driver.send(batch, control)).map((result) => (fits(result) && strike() ? change(result) : result)),
      }),
  }
}

const failed = (result: SendResult): SendResult => ({
  ok: false,
  error: new MessagingError('unavailable', 'a seeded defect says that this was not sent', {
    cause: result.ok ? undefined : result.error,
  }),
})

export const receipts = {
  'failed-as-ok': telling(
    'a refused message is told to be held',
    (result) => !result.ok,
    () => held,
  ),
  'ok-as-failed': telling('a message that is held is told to have failed', (result) => result.ok, failed, seldom),
  'unknown-as-failed': telling(
    'an outcome that nobody knows is told as failed',
    (result) => !result.ok && result.error.outcome === 'unknown',
    failed,
  ),
  'hang-send': {
    sentence: 'a send never settles, also after its abort',
    place: { first: 2, every: Number.POSITIVE_INFINITY },
    wrap: (driver, strike) =>
      but(driver, { send: (batch, control) => (strike() ? hanging() : driver.send(batch, control)) }),
  },
  'receipts-reversed': {
    sentence: 'the results of a batch come in the wrong order',
    place: always,
    wrap: (driver, strike) =>
      but(driver, {
        async send(batch, control) {
          const results = await driver.send(batch, control)
          return batch.length > 1 && strike() ? [...results].reverse() : results
        },
      }),
  },
  'receipts-short': {
    sentence: 'a batch has one result too few',
    place: always,
    wrap: (driver, strike) =>
      but(driver, {
        async send(batch, control) {
          const results = await driver.send(batch, control)
          return batch.length > 1 && strike() ? results.slice(0, -1) : results
        },
      }),
  },
  'answer-empty-send': {
    sentence: 'a send of nothing has a result',
    place: always,
    wrap: (driver, strike) =>
      but(driver, {
        send: async (batch, control) => (batch.length === 0 && strike() ? [held] : driver.send(batch, control)),
      }),
  },
} satisfies Record<string, DefectKind>
