// Ways in which settling may be wrong.
import type { Settled, Settlement, Source } from '@posthorn/core/driver'
import { MessagingError } from '@posthorn/core/driver'
import { always, but, type DefectKind, hanging, once, type Strike, seldom, withSources } from './place.ts'

/** Changes settlements on their way to the broker. */
function changing(
  sentence: string,
  place: DefectKind['place'],
  fits: (settlement: Settlement) => boolean,
  change: (settlement: Settlement) => Settlement,
): DefectKind {
  return {
    sentence,
    place,
    wrap: (driver, strike) =>
      withSources(driver, (source) =>
        but(source, {
          settle: (batch) => source.settle(batch.map((each) => (fits(each) && strike() ? change(each) : each))),
        }),
      ),
  }
}

/** Settles only what `keep` keeps and answers ok for the rest. */
async function settleSome(
  source: Source,
  batch: readonly Settlement[],
  keep: (settlement: Settlement) => boolean,
): Promise<Settled[]> {
  const kept = batch.map(keep)
  const answers = await source.settle(batch.filter((_, i) => kept[i]))
  let next = 0
  return kept.map((each) => (each ? (answers[next++] ?? 'ok') : 'ok'))
}

/** An acknowledgement takes all with it that was received before: the offset of a log without a low-water mark. */
function highestOffset(source: Source, strike: Strike): Source {
  let open: unknown[] = []
  const taken = new Set<unknown>()
  return but(source, {
    async receive(max, signal) {
      const arrivals = await source.receive(max, signal)
      open.push(...arrivals.map(({ token }) => token))
      return arrivals
    },
    async settle(batch) {
      const answers = await settleSome(source, batch, ({ token }) => !taken.delete(token))
      const settled = new Set(batch.map(({ token }) => token))
      const highest = Math.max(...batch.map(({ token, verdict }) => (verdict === 'ack' ? open.indexOf(token) : -1)))
      const below = open.slice(0, highest + 1).filter((token) => !settled.has(token))
      if (below.length > 0 && strike()) {
        await source.settle(below.map((token) => ({ token, verdict: 'ack' })))
        for (const token of below) taken.add(token)
        open = open.filter((token) => !taken.has(token))
      }
      open = open.filter((token) => !settled.has(token))
      return answers
    },
  })
}

/** Keeps which deliveries are open, for what happens on close. */
function ackOnClose(source: Source, strike: Strike): Source {
  const open = new Set<unknown>()
  return but(source, {
    async receive(max, signal) {
      const arrivals = await source.receive(max, signal)
      for (const { token } of arrivals) open.add(token)
      return arrivals
    },
    settle(batch) {
      for (const { token } of batch) open.delete(token)
      return source.settle(batch)
    },
    async close() {
      const left = [...open]
      open.clear()
      if (left.length > 0 && strike()) await source.settle(left.map((token) => ({ token, verdict: 'ack' })))
      await source.close()
    },
  })
}

const isNack = ({ verdict }: Settlement): boolean => verdict === 'nack'
const failures = (settlement: Settlement): number | undefined =>
  settlement.verdict === 'nack' ? settlement.failures : undefined

export const settling = {
  'highest-offset': {
    sentence: 'an acknowledgement takes all with it that was received before',
    place: always,
    wrap: (driver, strike) => withSources(driver, (source) => highestOffset(source, strike)),
  },
  'ack-on-close': {
    sentence: 'closing acknowledges what is not settled',
    place: always,
    wrap: (driver, strike) => withSources(driver, (source) => ackOnClose(source, strike)),
  },
  'keep-on-close': {
    sentence: 'closing gives nothing back',
    place: always,
    wrap: (driver, strike) =>
      withSources(driver, (source) =>
        but(source, {
          close: () => {
            if (!strike()) return source.close()
            return Promise.resolve()
          },
        }),
      ),
  },
  'nack-as-ack': changing('a hand-back is an acknowledgement', always, isNack, ({ token }) => ({
    token,
    verdict: 'ack',
  })),
  'ack-as-nack': changing(
    'an acknowledgement is a hand-back',
    seldom,
    ({ verdict }) => verdict === 'ack',
    ({ token }) => ({ token, verdict: 'nack' }),
  ),
  'drop-nack-delay': changing(
    'a delayed hand-back comes at once',
    always,
    (each) => each.verdict === 'nack' && (each.afterMs ?? 0) > 0,
    (each) => ({ ...each, afterMs: undefined }),
  ),
  'forget-failures': changing(
    'a try that failed costs nothing, so that there is no last one',
    always,
    (each) => failures(each) !== undefined,
    (each) => ({ ...each, failures: undefined, history: undefined }),
  ),
  'forget-ack': {
    sentence: 'an acknowledgement is answered and not done',
    place: seldom,
    wrap: (driver, strike) =>
      withSources(driver, (source) =>
        but(source, { settle: (batch) => settleSome(source, batch, ({ verdict }) => verdict !== 'ack' || !strike()) }),
      ),
  },
  'stale-as-ok': {
    sentence: 'what is no longer ours is told to be settled',
    place: always,
    wrap: (driver, strike) =>
      withSources(driver, (source) =>
        but(source, {
          settle: async (batch) =>
            (await source.settle(batch)).map((answer) => (answer === 'stale' && strike() ? 'ok' : answer)),
        }),
      ),
  },
  'hang-settle': {
    sentence: 'a settlement never answers',
    place: once,
    wrap: (driver, strike) =>
      withSources(driver, (source) =>
        but(source, { settle: (batch) => (strike() ? hanging() : source.settle(batch)) }),
      ),
  },
  'answer-empty-settle': {
    sentence: 'a settlement of nothing has an answer',
    place: always,
    wrap: (driver, strike) =>
      withSources(driver, (source) =>
        but(source, {
          settle: async (batch) => (batch.length === 0 && strike() ? ['ok'] : source.settle(batch)),
        }),
      ),
  },
  'close-once': {
    sentence: 'a source that is closed again rejects',
    place: always,
    wrap: (driver, strike) =>
      withSources(driver, (source) => {
        let over = false
        return but(source, {
          async close() {
            if (over && strike()) throw new MessagingError('closed', 'a seeded defect closes a source only once')
            over = true
            await source.close()
          },
        })
      }),
  },
  'extend-nothing': {
    sentence: 'a lease is told to be extended and is not',
    place: always,
    wrap: (driver, strike) =>
      withSources(driver, (source) => {
        const { extend } = source
        if (extend === undefined) return source
        return but(source, {
          extend: async (tokens) => (strike() ? tokens.map((): Settled => 'ok') : extend.call(source, tokens)),
        })
      }),
  },
  'mark-nothing': {
    sentence: 'a start that runs alone is told to be noted and is not',
    place: always,
    wrap: (driver, strike) =>
      withSources(driver, (source) => {
        const { mark } = source
        if (mark === undefined) return source
        return but(source, { mark: async (token) => (strike() ? 'ok' : mark.call(source, token)) })
      }),
  },
  'unmark-nothing': {
    sentence: 'a start that ended still counts as one that never did',
    place: always,
    wrap: (driver, strike) =>
      withSources(driver, (source) => {
        const { unmark } = source
        if (unmark === undefined) return source
        return but(source, { unmark: async (token) => (strike() ? 'ok' : unmark.call(source, token)) })
      }),
  },
  'effects-without-settling': {
    sentence: 'of sends and settlements that belong together only the sends happen',
    place: always,
    wrap: (driver, strike) =>
      withSources(driver, (source) => {
        const { atomic } = source
        if (atomic === undefined) return source
        return but(source, {
          atomic: (sends, settlements, signal) => atomic.call(source, sends, strike() ? [] : settlements, signal),
        })
      }),
  },
  'seek-nothing': {
    sentence: 'a seek is told to be done and is not',
    place: always,
    wrap: (driver, strike) =>
      withSources(driver, (source) => {
        const { seek } = source
        if (seek === undefined) return source
        return but(source, { seek: async (to) => (strike() ? undefined : seek.call(source, to)) })
      }),
  },
} satisfies Record<string, DefectKind>
