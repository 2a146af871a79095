import type { Explanation } from '../face/operating.ts'
import type { Runtime } from './runtime.ts'

type Promised = Explanation['promises'][number]

/** What this broker with this store does whoever subscribes, or refuses: the cells of the capability table that a program can meet. */
export function abilities(runtime: Runtime): readonly Promised[] {
  const { traits, capabilities, store, storeIsDriver, keeper, name } = runtime
  const can = (promise: string, able: boolean, detail: string, instead: string): Promised => ({
    promise,
    how: able ? 'native' : 'impossible',
    detail: able ? detail : `refused: ${instead}`,
    cost: 'none',
  })
  const kept = (promise: string, native: boolean, detail: string): Promised => {
    if (native) return { promise, how: 'native', detail, cost: 'none' }
    const how = keeper === undefined ? 'impossible' : 'store'
    const where =
      keeper === undefined
        ? `refused: ${store === undefined ? 'give connect() a store' : 'connect by `posthorn`, and with a store that holds messages'}`
        : `in the ${store?.name} store`
    return { promise, how, detail: where, cost: keeper === undefined ? 'none' : 'one row in, one row out' }
  }
  return [
    kept(
      'cancel',
      traits.cancel && (storeIsDriver || keeper === undefined),
      'a delayed message is taken back by the broker',
    ),
    kept('transaction', traits.transactional && storeIsDriver, 'a send with { tx } is in the same commit'),
    can('priority', traits.priority, 'higher first', `${name} has no priorities`),
    can('atomic batch', traits.atomic, 'all or none', 'send it in a transaction of a store'),
    can(
      'exactly-once-sends',
      traits.effects,
      'what a handler sends and its acknowledgement happen together',
      "use 'exactly-once-effects' with a store",
    ),
    can(
      'replay',
      capabilities.replay,
      'history is read again, and groups seek',
      `${name} does not keep what was acknowledged`,
    ),
    can('query', capabilities.query, 'stored messages are found', `${name} does not keep what was acknowledged`),
  ]
}
