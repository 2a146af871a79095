import type { Runtime } from '../broker/runtime.ts'
import { MessagingError } from '../errors.ts'
import { innerOf } from '../extension.ts'
import type { ConsumeExtension } from '../face/extending.ts'
import { lacksKeeper } from '../producing/holding.ts'
import type { Asked, Settings } from './settings.ts'

/** Holds what a subscription asks for against adapter, store and middleware; refuses by name what cannot be kept. */
export function checkGuarantee(runtime: Runtime, call: string, settings: Settings, asked: Asked): Settings {
  const refuse = (what: string, next: string): never => {
    throw new MessagingError(
      'unsupported',
      `${call}(${settings.name}, { group: '${settings.group}' }): ${what}; ${next}`,
    )
  }
  const { guarantee } = settings
  if (
    settings.mode === 'broadcast' &&
    asked.guarantee !== undefined &&
    guarantee !== 'at-most-once' &&
    !runtime.traits.history
  )
    refuse(
      `broadcast on ${runtime.name} is at most once across reconnects, so guarantee: '${guarantee}' cannot be kept`,
      'leave guarantee out, or give each instance a group of its own',
    )
  const tries = whatTriesAgain(asked)
  if (tries !== undefined && guarantee === 'at-most-once')
    refuse(
      `guarantee: 'at-most-once' acknowledges before the handler, so nothing is left that ${tries} could try again`,
      'leave one of them out',
    )
  if (tries !== undefined && call === 'respond')
    refuse(
      `a responder answers each request once, so nothing is left that ${tries} could try again`,
      'leave it out; whoever asks may ask again',
    )
  if (settings.newest !== undefined && settings.order !== 'none')
    refuse(
      `newestFirst() lets any message pass any other, and order is '${settings.order}'`,
      "say order: 'none', or use skipOlder() to be done with what is too old",
    )
  if (settings.onFailure === 'park') {
    if (settings.mode === 'broadcast')
      refuse(
        "onFailure: 'park' keeps a key's messages until somebody redrives them, and with mode: 'broadcast' the group ends with its instance",
        "say onFailure: 'skip' or 'block', or give each instance a group of its own",
      )
    if (settings.order !== 'key')
      refuse(`onFailure: 'park' holds a key back, and order is '${settings.order}'`, "say order: 'key'")
    if (runtime.keeper === undefined)
      throw lacksKeeper(runtime, `${call}(${settings.name}, { group: '${settings.group}' }): onFailure: 'park'`)
  }
  if (guarantee === 'exactly-once-sends' && !runtime.traits.effects)
    refuse(
      `${runtime.name} cannot send and acknowledge in one transaction`,
      "use guarantee: 'exactly-once-effects' with a store, and send with { tx: delivery.tx }",
    )
  if (guarantee === 'exactly-once-effects') return withInbox(runtime, settings, refuse)
  return settings
}

/** What of a subscription's own options speaks of further tries. */
function whatTriesAgain({ onFailure, use = [] }: Asked): string | undefined {
  if (onFailure === 'park' || onFailure === 'block') return `onFailure: '${onFailure}'`
  return use.some((each) => innerOf(each).retry !== undefined) ? 'retry()' : undefined
}

function withInbox(runtime: Runtime, settings: Settings, refuse: (what: string, next: string) => never): Settings {
  const { store } = runtime
  if (store === undefined || !store.keeps.transactions || !store.keeps.claims) {
    const has = store === undefined ? 'there is no store' : `the ${store.name} store keeps no inbox in a transaction`
    return refuse(
      `exactly-once effects need an inbox row in the handler's transaction, and ${has}`,
      "give connect() store: 'sqlite:./data/app.db'",
    )
  }
  if (!runtime.storeIsDriver && store.scope !== 'shared' && !runtime.singleHost)
    refuse(
      `the ${store.name} store is seen by one ${store.scope} only, and ${runtime.name} by more: who does not see the store would repeat the effect`,
      'use a shared store, or say singleHost: true where only one machine consumes',
    )
  const { retentionMs } = settings.parts ?? {}
  const windows = settings.use.map((each) => innerOf(each).windowMs).filter((each) => each !== undefined)
  const windowMs = windows[0] ?? 7 * 24 * 3_600_000
  if (retentionMs !== undefined && retentionMs > windowMs)
    refuse(
      `messages are kept for ${retentionMs} ms, longer than the inbox remembers them (${windowMs} ms)`,
      'raise idempotent({ windowMs }), or shorten retentionMs',
    )
  if (settings.use.some((each) => innerOf(each).transactional === true)) return settings
  if (runtime.inbox === undefined)
    return refuse(
      'nothing in `use` opens the transaction',
      'add idempotent() of @posthorn/reliability to `use`, or connect by `posthorn`',
    )
  const inbox = runtime.inbox()
  const rank = (each: ConsumeExtension): number => innerOf(each).rank ?? 50
  // What needs its transaction stands inside it.
  const inside = settings.use.filter((each) => rank(each) < rank(inbox))
  return { ...settings, use: [...settings.use.filter((each) => !inside.includes(each)), inbox, ...inside] }
}
