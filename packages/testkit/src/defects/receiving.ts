// Ways in which subscribing and receiving may be wrong.
import type { Arrival, Driver, Source, TopicSpec } from '@posthorn/core/driver'
import { always, but, type DefectKind, hanging, once, type Strike, seldom, withSources } from './place.ts'

/** Changes what a receive gives. */
function giving(
  sentence: string,
  place: DefectKind['place'],
  make: (strike: Strike, source: Source) => (arrivals: readonly Arrival[]) => readonly Arrival[],
): DefectKind {
  return {
    sentence,
    place,
    wrap: (driver, strike) =>
      withSources(driver, (source) => {
        const change = make(strike, source)
        return but(source, { receive: async (max, signal) => change(await source.receive(max, signal)) })
      }),
  }
}

/** Changes arrivals one by one. */
function changing(
  sentence: string,
  place: DefectKind['place'],
  fits: (arrival: Arrival) => boolean,
  changes: (arrival: Arrival) => Partial<Arrival>,
): DefectKind {
  return giving(
    sentence,
    place,
    (strike) => (arrivals) =>
      arrivals.map((arrival) => (fits(arrival) && strike() ? but(arrival, changes(arrival)) : arrival)),
  )
}

/** Opens with another subscription. */
function opening(
  sentence: string,
  place: DefectKind['place'],
  change: (subscription: Parameters<Driver['open']>[0]) => Partial<Parameters<Driver['open']>[0]> | undefined,
): DefectKind {
  return {
    sentence,
    place,
    wrap: (driver, strike) =>
      but(driver, {
        open(subscription, signal) {
          const changes = change(subscription)
          return driver.open(changes !== undefined && strike() ? { ...subscription, ...changes } : subscription, signal)
        },
      }),
  }
}

const unfiltered = (topic: TopicSpec): TopicSpec => ({
  ...topic,
  groups: topic.groups.map((group) => ({ ...group, filter: undefined })),
})

/** Goes on receiving after an abort and drops what comes: the mistake of racing a promise that nobody cancels. */
function abortLoses(source: Source, strike: Strike): Source {
  let before: Promise<unknown> = Promise.resolve()
  return but(source, {
    async receive(max, signal) {
      await before
      if (signal.aborted) return []
      const real = source.receive(max, new AbortController().signal)
      before = real.catch(() => {})
      const aborted = new Promise<'aborted'>((resolve) => {
        signal.addEventListener('abort', () => resolve('aborted'), { once: true })
      })
      const first = await Promise.race([real, aborted])
      if (first !== 'aborted') return first
      strike()
      return []
    },
  })
}

/** Overwrites the bodies of the last receive, as a client that reuses its buffers. */
function reuse(strike: Strike): (arrivals: readonly Arrival[]) => readonly Arrival[] {
  let last: Uint8Array[] = []
  return (arrivals) => {
    for (const body of last) if (body.length > 0 && strike()) body.fill(0)
    last = []
    return arrivals.map((arrival) => {
      const body = Uint8Array.from(arrival.body)
      last.push(body)
      return but(arrival, { body })
    })
  }
}

export const receiving = {
  'own-group-each': opening('each member of a group reads as a group of its own', always, ({ mode, group, member }) =>
    mode === 'shared' ? { group: `${group}-${member}` } : undefined,
  ),
  'reword-filter': opening(
    'each member of a group words the filter of the group in its own way',
    always,
    ({ filter, member }) =>
      filter !== undefined && 'sql' in filter ? { filter: { sql: `${filter.sql} OR '${member}' = ''` } } : undefined,
  ),
  'ignore-window': opening('the window has no effect', always, () => ({ window: 1_000_000 })),
  'start-at-latest': opening('a new group starts at the end', always, ({ from }) =>
    from === 'latest' ? undefined : { from: 'latest' },
  ),
  'start-at-earliest': opening('a new group starts at the beginning', always, ({ from }) =>
    from === 'earliest' ? undefined : { from: 'earliest' },
  ),
  'ignore-filter': {
    sentence: 'a filter that the driver said it applies is not applied',
    place: always,
    wrap: (driver, strike) =>
      but(driver, {
        declare: (topic, signal, tx) =>
          driver.declare(
            topic.groups.some(({ filter }) => filter !== undefined) ? unfiltered(topic) : topic,
            signal,
            tx,
          ),
        open: (subscription, signal) =>
          driver.open(
            subscription.filter !== undefined && strike() ? { ...subscription, filter: undefined } : subscription,
            signal,
          ),
      }),
  },
  'hang-receive': {
    sentence: 'a receive never settles, whether something comes or it is aborted',
    place: { first: 2, every: Number.POSITIVE_INFINITY },
    wrap: (driver, strike) =>
      withSources(driver, (source) =>
        but(source, { receive: (max, signal) => (strike() ? hanging() : source.receive(max, signal)) }),
      ),
  },
  'receive-too-many': {
    sentence: 'a receive gives more than were asked for',
    place: always,
    wrap: (driver, strike) =>
      withSources(driver, (source) =>
        but(source, { receive: (max, signal) => source.receive(strike() ? max * 2 : max, signal) }),
      ),
  },
  'lose-on-abort': {
    sentence: 'what comes after a receive was aborted is lost',
    place: always,
    wrap: (driver, strike) => withSources(driver, (source) => abortLoses(source, strike)),
  },
  'lose-received': giving(
    'a delivery is taken from the broker and given to nobody',
    seldom,
    (strike) => (arrivals) => arrivals.filter(() => !strike()),
  ),
  'deliver-twice': giving(
    'a delivery is given twice',
    seldom,
    (strike) => (arrivals) => arrivals.flatMap((arrival) => (strike() ? [arrival, arrival] : [arrival])),
  ),
  'swap-received': giving('two deliveries of a key are given in the wrong order', once, (strike) => (arrivals) => {
    const out = [...arrivals]
    for (let i = 0; i + 1 < out.length; i++) {
      const key = out[i]?.key
      const j = key === undefined ? -1 : out.findIndex((other, at) => at > i && other.key === key)
      if (j < 0 || !strike()) continue
      ;[out[i], out[j]] = [out[j] as Arrival, out[i] as Arrival]
      break
    }
    return out
  }),
  'settle-before-handler': {
    sentence: 'deliveries are acknowledged as they are received',
    place: always,
    wrap: (driver, strike) =>
      withSources(driver, (source, { mode }) => {
        const done = new Set<unknown>()
        return but(source, {
          async receive(max, signal) {
            const arrivals = await source.receive(max, signal)
            if (mode === 'replay' || arrivals.length === 0 || !strike()) return arrivals
            for (const { token } of arrivals) done.add(token)
            await source.settle(arrivals.map(({ token }) => ({ token, verdict: 'ack' })))
            return arrivals
          },
          async settle(batch) {
            const open = batch.filter(({ token }) => !done.has(token))
            const answers = await source.settle(open)
            return batch.map((each) => (done.delete(each.token) ? 'ok' : (answers[open.indexOf(each)] ?? 'stale')))
          },
        })
      }),
  },
  'new-id-on-redelivery': giving('a redelivered message has another id', always, (strike) => {
    const seen = new Set<string>()
    return (arrivals) =>
      arrivals.map((arrival) => {
        const again = seen.has(arrival.id)
        seen.add(arrival.id)
        return again && strike() ? but(arrival, { id: `${arrival.id}-again` }) : arrival
      })
  }),
  'never-lost': changing(
    'a delivery never says that it was taken back',
    always,
    (arrival) => arrival.lost !== undefined,
    () => ({ lost: undefined }),
  ),
  'count-stands-still': changing(
    'every delivery is counted as the first',
    always,
    (arrival) => (arrival.deliveryCount ?? 1) > 1,
    () => ({ deliveryCount: 1 }),
  ),
  'fence-stands-still': changing(
    'the fence does not rise',
    always,
    (arrival) => arrival.fence !== undefined,
    () => ({ fence: 1n }),
  ),
  'reuse-buffers': giving('the bodies of a receive are overwritten by the next', always, reuse),
} satisfies Record<string, DefectKind>
