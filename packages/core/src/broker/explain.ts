import { askedOf, checkAsked } from '../consuming/asking.ts'
import { type Asked, settle, subscribed } from '../consuming/settings.ts'
import { partsOf } from '../driver/store.ts'
import { innerOf } from '../extension.ts'
import type { Source } from '../face/messages.ts'
import type { Explanation } from '../face/operating.ts'
import { abilities } from './abilities.ts'
import type { Runtime } from './runtime.ts'

type Promised = Explanation['promises'][number]

/** How each promise of a subscription is met on this broker with this store, and at which price. Refuses what `consume` would refuse. */
export function explain(runtime: Runtime, source: Source, asked: Asked): Explanation {
  checkAsked('explain', asked, askedOf.consume)
  const settings = settle(runtime, 'explain', source, asked)
  const { traits, store } = runtime
  const says = (promise: string, how: Promised['how'], detail: string, cost = 'none'): Promised => ({
    promise,
    how,
    detail,
    cost,
  })
  const scope =
    store === undefined || runtime.storeIsDriver
      ? []
      : [
          says(
            'store',
            'store',
            `the ${store.name} store is seen by: ${store.scope === 'shared' ? 'every machine' : `one ${store.scope}`}`,
            store.scope === 'shared' || runtime.singleHost ? 'none' : 'cancel, locks and inbox hold on that one only',
          ),
        ]
  const promises: Promised[] = [
    says(
      'guarantee',
      'native',
      settings.guarantee === 'at-most-once'
        ? 'acknowledged before the handler: a crash loses what was in hand'
        : 'acknowledged after the handler, by its outcome',
    ),
    traits.history
      ? says(
          'before its readers',
          'native',
          'messages are kept for groups that come later, as far as the retention goes',
        )
      : says(
          'before its readers',
          'impossible',
          `a send that reaches no group is refused as unroutable, and who reads by broadcast or pattern is none; name groups in topic(name, { groups }) so that producers declare them${
            traits.recheckMs === undefined ? '' : `, and look at them again every ${traits.recheckMs} ms`
          }`,
        ),
    orderOf(),
    delayOf(),
    retryOf(),
    attemptOf(),
    says(
      'dead letter',
      'native',
      'on the shelf of its group, confirmed before the source is acknowledged',
      'one send per dead letter',
    ),
    settings.filter === undefined
      ? says('filter', 'native', 'none asked for')
      : traits.filter
        ? says('filter', 'native', 'applied by the broker')
        : says(
            'filter',
            'emulated',
            'applied in this process: what does not match is fetched and acknowledged',
            'the transfer of what does not match',
          ),
    traits.holdMs === undefined
      ? says('holding', 'native', 'a delivery may be held for any time')
      : says(
          'holding',
          'native',
          `a delivery may be held for ${traits.holdMs} ms; longer waits go to the store where there is one`,
        ),
    ...abilities(runtime),
    ...scope,
    ...writers(),
    ...settings.use.flatMap(
      (each) => innerOf(each).promises?.(subscribed(runtime, settings, asked.batch !== undefined)) ?? [],
    ),
  ]
  return {
    promises,
    toString: () => table(`${settings.name} for ${settings.group} on ${runtime.name} (${runtime.address})`, promises),
  }

  function writers(): Promised[] {
    if (store === undefined || partsOf(store).oneWriter !== true) return []
    const detail = `a handler's transaction on the ${store.name} store begins at its first tx.query; handlers that use tx write one at a time, the others run side by side`
    return [says('transactions', 'store', detail, 'what a handler awaits inside one, every other writer waits for')]
  }
  function orderOf(): Promised {
    if (settings.order === 'none') return says('order', 'native', 'none asked for: any message may pass any other')
    const lanes = settings.order === 'topic' ? 'one lane' : byKey(settings.partitions)
    const failing = {
      skip: 'after the dead letter the key goes on',
      park: 'a failing key waits in the store',
      block: 'a failing key is tried until it succeeds',
    }[settings.onFailure]
    return traits.order === 'key'
      ? says('order', 'native', `${lanes}, across processes; ${failing}`, 'one at a time per key')
      : says('order', 'emulated', `${lanes}, within one process only; ${failing}`, 'one at a time per key')
  }
  function delayOf(): Promised {
    if (store !== undefined && !runtime.storeIsDriver && runtime.keeper !== undefined)
      return says(
        'delay',
        'store',
        `every delayed send waits in the ${store.name} store and can be cancelled`,
        'one row in, one row out',
      )
    if (traits.delay === 'any')
      return says(
        'delay',
        'native',
        `up to ${traits.maxDelayMs} ms; ${traits.cancel ? 'can be cancelled' : 'cannot be cancelled without a store'}`,
      )
    if (runtime.keeper !== undefined)
      return says('delay', 'store', `waits in the ${store?.name} store`, 'one row in, one row out')
    return says('delay', 'impossible', "refused: give connect() a store, such as store: 'sqlite:./data/app.db'")
  }
  function retryOf(): Promised {
    const { policy } = settings
    const where =
      traits.nackDelay === 'ordered' || (traits.nackDelay === 'unordered' && settings.order === 'none')
        ? says(
            'retry',
            'native',
            `${policy.attempts} tries; the broker holds the message between them, so they survive a restart`,
            'one settlement per try',
          )
        : settings.order === 'none' && traits.delay !== 'none'
          ? says(
              'retry',
              'emulated',
              `${policy.attempts} tries; waits over a second are spent on the broker as a copy to this group alone, shorter ones in this process`,
              'one send per longer wait',
            )
          : says(
              'retry',
              'emulated',
              `${policy.attempts} tries in place: the message is held between them and its key waits`,
              'its lane stands still meanwhile',
            )
    return where
  }
  function attemptOf(): Promised {
    return traits.counts
      ? says('attempt', 'native', 'starts are counted durably before the handler runs')
      : says(
          'attempt',
          'emulated',
          'a lower bound: failures travel with the message, a start that ended with its process may not be counted',
        )
  }
}

/** A pattern's topics have each their own number of lanes. */
const byKey = (partitions: number | undefined): string =>
  partitions === undefined ? 'by key' : `by key, ${partitions} ${partitions === 1 ? 'lane' : 'lanes'}`

function table(title: string, promises: readonly Promised[]): string {
  const wide = Math.max(...promises.map(({ promise }) => promise.length))
  return [
    title,
    ...promises.map(
      ({ promise, how, detail, cost }) =>
        `  ${promise.padEnd(wide)}  ${how.padEnd(10)}  ${detail}${cost === 'none' ? '' : ` (cost: ${cost})`}`,
    ),
  ].join('\n')
}
