// Ways in which what is around sending and receiving may be wrong.
import { type DriverLag, isMessagingError, type Shelf } from '@posthorn/core/driver'
import { always, but, type DefectKind, hanging, once, type Strike } from './place.ts'

/** Leaves out what it is told to. */
async function* skipping<T>(items: AsyncIterable<T>, strike: Strike): AsyncGenerator<T> {
  for await (const item of items) if (!strike()) yield item
}

/** Ends only with its signal. */
async function* endless<T>(items: AsyncIterable<T>, signal: AbortSignal, strike: Strike): AsyncGenerator<T> {
  yield* items
  if (strike()) await new Promise((resolve) => signal.addEventListener('abort', resolve, { once: true }))
}

function shelving(
  sentence: string,
  change: (shelf: Shelf, strike: Strike) => Partial<Shelf>,
  place = always,
): DefectKind {
  return {
    sentence,
    place,
    wrap: (driver, strike) =>
      but(driver, {
        shelf(topic, group) {
          const shelf = driver.shelf(topic, group)
          return but(shelf, change(shelf, strike))
        },
      }),
  }
}

/** What is told of a group that is behind. */
function miscounting(sentence: string, told: (lag: DriverLag) => DriverLag): DefectKind {
  return {
    sentence,
    place: always,
    wrap: (driver, strike) =>
      but(driver, {
        async lag(topic, group, signal) {
          const lag = await driver.lag(topic, group, signal)
          return lag.backlog > 0 && strike() ? told(lag) : lag
        },
      }),
  }
}

export const operating = {
  'declare-says-yes': {
    sentence: 'a topic that is not there is told to be there',
    place: always,
    wrap: (driver, strike) =>
      but(driver, {
        async declare(topic, signal, tx) {
          try {
            await driver.declare(topic, signal, tx)
          } catch (error) {
            if (!isMessagingError(error, 'not-found') || !strike()) throw error
          }
        },
      }),
  },
  'declare-waits': {
    sentence: 'a declaration within a transaction waits for its end, and the transaction for it',
    place: always,
    wrap: (driver, strike) =>
      but(driver, {
        declare: (topic, signal, tx) => (tx !== undefined && strike() ? hanging() : driver.declare(topic, signal, tx)),
      }),
  },
  'shelf-never-ends': shelving('a listing of dead letters waits for more', (shelf, strike) => ({
    list: (signal) => endless(shelf.list(signal), signal, strike),
  })),
  'cancel-lies': {
    sentence: 'a cancel is told to be done and is not',
    place: always,
    wrap: (driver, strike) => {
      const { cancel } = driver
      if (cancel === undefined) return driver
      return but(driver, {
        cancel: async (id, topic, tx) => (strike() ? 'cancelled' : cancel.call(driver, id, topic, tx)),
      })
    },
  },
  'cancel-outside-transaction': {
    sentence: 'a cancel in a transaction happens though it is rolled back',
    place: always,
    wrap: (driver, strike) => {
      const { cancel } = driver
      if (cancel === undefined) return driver
      return but(driver, {
        cancel: (id, topic, tx) => cancel.call(driver, id, topic, tx !== undefined && strike() ? undefined : tx),
      })
    },
  },
  'reschedule-lies': {
    sentence: 'a message is told to be rescheduled and is not',
    place: always,
    wrap: (driver, strike) => {
      const { reschedule } = driver
      if (reschedule === undefined) return driver
      return but(driver, {
        reschedule: async (id, topic, notBefore, tx) =>
          strike() ? 'rescheduled' : reschedule.call(driver, id, topic, notBefore, tx),
      })
    },
  },
  'shelf-hides-one': shelving(
    'a dead letter is not listed',
    (shelf, strike) => ({ list: (signal) => skipping(shelf.list(signal), strike) }),
    once,
  ),
  'shelf-keeps': shelving('a dead letter that was removed stays', (shelf, strike) => ({
    remove: async (tokens, signal) => (strike() ? undefined : shelf.remove(tokens, signal)),
  })),
  'shelf-removes-all': shelving('removing one dead letter removes all', (shelf, strike) => ({
    async remove(tokens, signal) {
      if (!strike()) return shelf.remove(tokens, signal)
      const all: unknown[] = []
      for await (const { token } of shelf.list(signal)) all.push(token)
      await shelf.remove([...tokens, ...all], signal)
    },
  })),
  'query-misses': {
    sentence: 'a stored message is not found',
    place: once,
    wrap: (driver, strike) => {
      const { query } = driver
      if (query === undefined) return driver
      return but(driver, {
        query: (topic, where, signal) => skipping(query.call(driver, topic, where, signal), strike),
      })
    },
  },
  'topics-hide-one': {
    sentence: 'a topic is not listed',
    place: always,
    wrap: (driver, strike) => {
      const { topics } = driver
      if (topics === undefined) return driver
      return but(driver, {
        topics: async (signal) => (await topics.call(driver, signal)).slice(strike() ? 1 : 0),
      })
    },
  },
  'topics-without-groups': {
    sentence: 'topics are listed without their groups',
    place: always,
    wrap: (driver, strike) => {
      const { topics } = driver
      if (topics === undefined) return driver
      return but(driver, {
        topics: async (signal) =>
          (await topics.call(driver, signal)).map((each) => (strike() ? { ...each, groups: [] } : each)),
      })
    },
  },
  'remove-nothing': {
    sentence: 'a topic is told to be removed and is not',
    place: always,
    wrap: (driver, strike) => {
      const { remove } = driver
      if (remove === undefined) return driver
      return but(driver, {
        remove: async (topic, signal) => (strike() ? undefined : remove.call(driver, topic, signal)),
      })
    },
  },
  'remove-says-yes': {
    sentence: 'a removal that was refused is told to be done',
    place: always,
    wrap: (driver, strike) => {
      const { remove } = driver
      if (remove === undefined) return driver
      return but(driver, {
        async remove(topic, signal) {
          try {
            await remove.call(driver, topic, signal)
          } catch (error) {
            if (!strike()) throw error
          }
        },
      })
    },
  },
  'lag-says-nothing': miscounting('a group that is behind is told to be at the end', (lag) => ({
    ...lag,
    backlog: 0,
    oldestMs: undefined,
  })),
  'lag-a-fifth-short': miscounting('of what waits for a group a fifth is not counted', (lag) => ({
    ...lag,
    backlog: Math.ceil(lag.backlog * 0.8),
  })),
  'hang-close': {
    sentence: 'closing the connection never settles',
    place: always,
    wrap: (driver, strike) =>
      but(driver, {
        async close() {
          await driver.close()
          if (strike()) await hanging()
        },
      }),
  },
  'hang-open': {
    sentence: 'opening a subscription never settles',
    place: once,
    wrap: (driver, strike) =>
      but(driver, { open: (subscription, signal) => (strike() ? hanging() : driver.open(subscription, signal)) }),
  },
  'health-always-well': {
    sentence: 'a connection that is gone is told to be well',
    place: always,
    wrap: (driver, strike) =>
      but(driver, {
        async health() {
          const checks = await driver.health()
          return checks.some(({ ok }) => !ok) && strike() ? checks.map((check) => ({ ...check, ok: true })) : checks
        },
      }),
  },
} satisfies Record<string, DefectKind>
