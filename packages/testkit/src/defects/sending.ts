// Ways in which sending may be wrong.
import type { Dispatch, Driver, SendControl, SendResult } from '@posthorn/core/driver'
import { always, but, type DefectKind, once, type Strike, seldom } from './place.ts'

const held: SendResult = { ok: true, position: undefined }

/** Sends only the messages of a batch that `keep` keeps, and answers ok for the rest. */
async function sendSome(
  driver: Driver,
  batch: readonly Dispatch[],
  control: SendControl,
  keep: (message: Dispatch) => boolean,
): Promise<readonly SendResult[]> {
  const kept = batch.map(keep)
  const sent = batch.filter((_, i) => kept[i])
  const results = sent.length === 0 ? [] : await driver.send(sent, control)
  let next = 0
  return kept.map((each) => (each ? (results[next++] ?? held) : held))
}

/** Changes messages on their way out. */
function changing(
  sentence: string,
  fits: (message: Dispatch) => boolean,
  change: (message: Dispatch) => Dispatch,
  place = always,
): DefectKind {
  return {
    sentence,
    place,
    wrap: (driver, strike) =>
      but(driver, {
        send: (batch, control) =>
          driver.send(
            batch.map((message) => (fits(message) && strike() ? change(message) : message)),
            control,
          ),
      }),
  }
}

const plain = (message: Dispatch): boolean => message.letter === undefined && message.group === undefined

/** The last message of a batch goes out with the next batch only, and never if the driver is closed before. */
function behindByOne(driver: Driver, strike: Strike): Driver {
  let late: { readonly message: Dispatch; readonly control: SendControl } | undefined
  return but(driver, {
    async send(batch, control) {
      const before = late
      late = undefined
      if (before !== undefined) await driver.send([before.message], before.control)
      const last = batch.at(-1)
      if (last === undefined || !plain(last) || !strike()) return driver.send(batch, control)
      late = { message: last, control: { ...control, signal: new AbortController().signal } }
      return sendSome(driver, batch, control, (message) => message !== last)
    },
  })
}

/** Exchanges a message with the next of its key in the batch. */
function swapped(batch: readonly Dispatch[], strike: Strike): Dispatch[] {
  const out = [...batch]
  for (let i = 0; i < out.length; i++) {
    const { key } = out[i] as Dispatch
    const j = key === undefined ? -1 : out.findIndex((other, at) => at > i && other.key === key)
    if (j < 0 || !strike()) continue
    ;[out[i], out[j]] = [out[j] as Dispatch, out[i] as Dispatch]
    i = j
  }
  return out
}

export const sending = {
  'lose-one': {
    sentence: 'a message is told to be held and never sent',
    place: seldom,
    wrap: (driver, strike) =>
      but(driver, {
        send: (batch, control) => sendSome(driver, batch, control, (message) => !plain(message) || !strike()),
      }),
  },
  'double-one': {
    sentence: 'a message is sent twice',
    place: seldom,
    wrap: (driver, strike) =>
      but(driver, {
        async send(batch, control) {
          const results = await driver.send(batch, control)
          for (const [i, message] of batch.entries())
            if (results[i]?.ok === true && plain(message) && strike()) await driver.send([message], control)
          return results
        },
      }),
  },
  'swap-two': {
    sentence: 'two messages of a key go out in the wrong order',
    place: once,
    wrap: (driver, strike) =>
      but(driver, {
        async send(batch, control) {
          const order = swapped(batch, strike)
          const results = await driver.send(order, control)
          return batch.map((message) => results[order.indexOf(message)] ?? held)
        },
      }),
  },
  'confirm-before-held': {
    sentence: 'a send is confirmed at once and happens a little later, if it can',
    place: always,
    wrap: (driver, strike, clock) => {
      let over = false
      return but(driver, {
        async send(batch, control) {
          if (control.tx !== undefined || !strike()) return driver.send(batch, control)
          const later = { ...control, signal: new AbortController().signal }
          clock.after(50, () => {
            if (!over) driver.send(batch, later).catch(() => {})
          })
          return batch.map(() => held)
        },
        close() {
          over = true
          return driver.close()
        },
      })
    },
  },
  'withdraw-in-vain': {
    sentence: 'a message is called taken back and goes out all the same',
    place: always,
    wrap: (driver, strike) =>
      but(driver, {
        withdraw: (batch, message) => strike() || driver.withdraw?.(batch, message) === true,
      }),
  },
  'lose-on-close': {
    sentence: 'the last message of a batch waits for the next batch and is dropped on close',
    place: always,
    wrap: behindByOne,
  },
  'drop-headers': changing(
    "the user's headers are dropped",
    (message) => Object.keys(message.headers).length > 0,
    (message) => ({ ...message, headers: {} }),
  ),
  'drop-tag': changing(
    'the tag is dropped',
    (message) => message.tag !== undefined,
    (message) => ({ ...message, tag: undefined }),
  ),
  'drop-key': changing(
    'the key is dropped',
    (message) => message.key !== undefined,
    (message) => ({ ...message, key: undefined }),
  ),
  'corrupt-body': changing(
    'one bit of a body is flipped',
    (message) => message.body.length > 0 && message.letter === undefined,
    (message) => {
      const body = Uint8Array.from(message.body)
      body[body.length >> 1] = (body[body.length >> 1] ?? 0) ^ 1
      return { ...message, body }
    },
    seldom,
  ),
  'forget-generation': changing(
    'a generation above 0 is sent as 0',
    (message) => message.generation > 0,
    (message) => ({ ...message, generation: 0 }),
  ),
  'forget-history': changing(
    'failures and their history do not travel with a copy',
    (message) => message.failures > 0 || message.history.length > 0,
    (message) => ({ ...message, failures: 0, history: [] }),
  ),
  'deliver-expired': changing(
    'the time of expiry is dropped, so that a message never expires',
    (message) => message.expiresAt !== undefined,
    (message) => ({ ...message, expiresAt: undefined }),
  ),
  'deliver-early': changing(
    'a delay is ignored',
    (message) => message.notBefore !== undefined,
    (message) => ({ ...message, notBefore: undefined }),
  ),
  'deliver-300ms-early': changing(
    'a delay ends 300 ms too early',
    (message) => message.notBefore !== undefined,
    (message) => ({ ...message, notBefore: (message.notBefore ?? 0) - 300 }),
  ),
  'copy-to-all-groups': changing(
    'a copy for one group reaches all of them',
    (message) => message.group !== undefined && message.letter === undefined,
    (message) => ({ ...message, group: undefined }),
  ),
  'ignore-priority': changing(
    'the priority is dropped',
    (message) => message.priority !== undefined,
    (message) => ({ ...message, priority: undefined }),
  ),
  'letter-without-reason': changing(
    'a dead letter says another reason, no error and no attempts',
    (message) => message.letter !== undefined,
    (message) => ({ ...message, letter: { reason: 'overflow', error: undefined, attempts: 0, at: 0 } }),
  ),
  'lose-letter': {
    sentence: 'a dead letter is told to be held and never put on its shelf',
    place: always,
    wrap: (driver, strike) =>
      but(driver, {
        send: (batch, control) =>
          sendSome(driver, batch, control, (message) => message.letter === undefined || !strike()),
      }),
  },
  'atomic-in-parts': {
    sentence: 'an atomic batch goes out message by message',
    place: always,
    wrap: (driver, strike) =>
      but(driver, {
        async send(batch, control) {
          if (control.atomic !== true || !strike()) return driver.send(batch, control)
          const results: SendResult[] = []
          for (const message of batch)
            results.push(...(await driver.send([message], { signal: control.signal, tx: control.tx })))
          return results
        },
      }),
  },
  'ignore-transaction': {
    sentence: 'a send in a transaction happens at once',
    place: always,
    wrap: (driver, strike) =>
      but(driver, {
        send: (batch, control) =>
          driver.send(batch, control.tx !== undefined && strike() ? { ...control, tx: undefined } : control),
      }),
  },
} satisfies Record<string, DefectKind>
