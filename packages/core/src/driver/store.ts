// The two ports of a store. The state machines over them live in `reliability`; a store only inserts, compares and sets, and reads ranges.
import { callable, checkValue, text, transaction } from '../checked.ts'
import { MessagingError } from '../errors.ts'
import type { Store, Transaction } from '../face/stores.ts'
import { type Clock, pause } from './clock.ts'
import type { Dispatch } from './envelope.ts'
import { lockWith } from './lock.ts'
import type { TopicSpec } from './seam.ts'

/**
 * `ready`: to be sent when due (outbox, schedule, spool, released). `prepared`: a half message, due at its next check. `parked`: waits
 * for its key to be released. `sent`: remembers for a while that it left, so that a late cancel can be told so.
 */
export type HeldState = 'ready' | 'prepared' | 'parked' | 'sent'

/** A message that waits for a commit, a time, a key or the broker. */
export interface HeldRow {
  /** Names the row: the message's (topic, id, generation, group). */
  readonly ref: string
  readonly state: HeldState
  readonly message: Dispatch
  /** What is declared before it is sent where nobody has seen its topic yet; undefined where whoever put it away had not. */
  readonly topic: TopicSpec | undefined
  /** Rows of one lane leave in the order in which they were inserted; undefined: no order. */
  readonly lane: string | undefined
  /** Epoch ms. */
  readonly dueAt: number
  /** How often it was tried or checked. */
  readonly tries: number
}

/** A row in the hands of a relay. `fence` rises with each claim; a change under an older fence does nothing. */
export interface ClaimedRow extends HeldRow {
  readonly fence: number
}

/** Messages that wait. Every change says what it expects to find, so that two processes have one winner. */
export interface Held {
  /** All or none; a ref that is there already is left as it is. In `tx`, visible when the caller commits. */
  insert(rows: readonly HeldRow[], tx?: Transaction): Promise<void>
  /**
   * Up to `max` rows in `state`, due by `now`, leased to nobody, oldest due first; per lane only the first inserted
   * of this state, and only if none of its lane is leased. Leased until `now + leaseMs`.
   */
  claim(query: {
    readonly state: HeldState
    readonly now: number
    readonly max: number
    readonly leaseMs: number
  }): Promise<readonly ClaimedRow[]>
  /**
   * Compare-and-set: only where the row is in `expect.state` and, if `fence` is given, still claimed under it; without a fence only where nobody holds
   * a lease. `undefined` as the new value deletes. False where something else was found.
   */
  change(
    ref: string,
    expect: { readonly state: HeldState; readonly fence?: number | undefined },
    to: { readonly state: HeldState; readonly dueAt: number; readonly tries?: number | undefined } | undefined,
    tx?: Transaction,
  ): Promise<boolean>
  /** The row, whoever holds it, with the fence of its last claim. */
  get(ref: string, tx?: Transaction): Promise<ClaimedRow | undefined>
  /** Rows in order of insertion, from after `after` on. */
  range(query: {
    readonly state: HeldState
    readonly lane?: string | undefined
    readonly after?: string | undefined
    readonly max: number
  }): Promise<readonly HeldRow[]>
  /** How many rows of this state are there (of this lane). */
  count(state: HeldState, lane?: string): Promise<number>
  /** When the next row in this state is due, epoch ms; leased rows count from the end of their lease. */
  nextDue(state: HeldState): Promise<number | undefined>
  /** Calls back when a commit of this process, or of another as soon as that is noticed, may have made rows due. */
  watch(call: () => void): () => void
}

/** What a claim found. */
export type Claim =
  | { readonly status: 'fresh'; readonly token: number }
  | { readonly status: 'busy'; readonly owner: string; readonly untilMs: number }
  | { readonly status: 'done'; readonly result: string | undefined }

/** Names taken: inbox rows, locks, leases, rates. Expired ones are as if they had never been. */
export interface Claims {
  /** Inserts `name` in the caller's transaction; false where it is there. */
  once(space: string, name: string, keepMs: number, tx: Transaction): Promise<boolean>
  /** Takes `name` for `ttlMs`, unless somebody holds it or it is done. Tokens of one name rise for ever. */
  acquire(space: string, name: string, owner: string, ttlMs: number): Promise<Claim>
  /** False where the claim is no longer this owner's under this token. */
  renew(space: string, name: string, token: number, ttlMs: number): Promise<boolean>
  /** Marks it done with a result, kept for `keepMs`; false where it is no longer ours. */
  finish(space: string, name: string, token: number, result: string | undefined, keepMs: number): Promise<boolean>
  /** Frees it; false where it is no longer ours. */
  release(space: string, name: string, token: number): Promise<boolean>
  /** Takes one from a token bucket: 0, or ms to wait before trying again. */
  take(space: string, name: string, rate: { readonly perSecond: number; readonly burst: number }): Promise<number>
  /** Forgets everything in a space. */
  forget(space: string): Promise<void>
}

/** What an adapter gives to make a `Store`. */
export interface StoreParts {
  readonly name: string
  readonly scope: Store['scope']
  readonly held: Held | undefined
  readonly claims: Claims | undefined
  /** Undefined where the store has no transactions. Opens lazily: at the first `tx.query` or port call with it. */
  readonly transaction: (<R>(work: (tx: Transaction) => Promise<R>) => Promise<R>) | undefined
  /** An open transaction keeps all other writers waiting until it ends. */
  readonly oneWriter?: boolean | undefined
  /** Whether this transaction is one of this store's. */
  readonly owns: (tx: Transaction) => boolean
  readonly clock: Clock
  readonly close: () => Promise<void>
}

/** Makes a store of its parts. */
export function defineStore(parts: StoreParts): Store {
  const lacks = (what: string): MessagingError =>
    new MessagingError(
      'unsupported',
      `the ${parts.name} store keeps no ${what}; give connect() a store that does, such as sqlite:./data/app.db`,
    )
  return {
    name: parts.name,
    '~store': parts,
    scope: parts.scope,
    keeps: {
      held: parts.held !== undefined,
      claims: parts.claims !== undefined,
      transactions: parts.transaction !== undefined,
    },
    async transaction(work) {
      if (parts.transaction === undefined) throw lacks('transactions')
      checkValue('transaction()', 'the work', work, callable, true)
      return parts.transaction(work)
    },
    async once(delivery, tx) {
      if (parts.claims === undefined) throw lacks('inbox')
      for (const name of ['id', 'topic', 'group'] as const)
        checkValue('once()', name, delivery?.[name], text(1_024), true)
      checkValue('once()', 'tx', tx, transaction, true)
      return parts.claims.once(inboxSpace(delivery.group, delivery.topic), delivery.id, inboxWindowMs, tx)
    },
    async lock(name, options, work) {
      if (parts.claims === undefined) throw lacks('locks')
      return lockWith(parts.claims, parts.clock, name, options, work)
    },
    close: parts.close,
    [Symbol.asyncDispose]: parts.close,
  }
}

/** The parts of a store. */
export function partsOf(store: Store): StoreParts {
  return store['~store'] as StoreParts
}

/** How long an inbox row is kept unless said otherwise. */
export const inboxWindowMs = 7 * 24 * 3_600_000

/** Longest that any claim is kept. */
const longestMs = 3_650 * 24 * 3_600_000

/** Notes how long the inbox of a group remembers, so that who redrives its dead letters knows, in whatever process. */
export async function noteWindow(
  { claims, clock }: { readonly claims: Claims; readonly clock: Clock },
  group: string,
  topic: string,
  windowMs: number,
): Promise<void> {
  const space = windowSpace(group, topic)
  for (let tries = 0; tries < 100; tries++) {
    const claim = await claims.acquire(space, 'ms', 'note', 1_000)
    if (claim.status === 'done' && claim.result === `${windowMs}`) return
    if (claim.status === 'done') await claims.forget(space)
    else if (claim.status === 'busy') await pause(clock, 5)
    else if (await claims.finish(space, 'ms', claim.token, `${windowMs}`, longestMs)) return
  }
}

/** How long the inbox of a group remembers; undefined where none was ever noted. */
export async function notedWindow(claims: Claims, group: string, topic: string): Promise<number | undefined> {
  const space = windowSpace(group, topic)
  const claim = await claims.acquire(space, 'ms', 'read', 1)
  if (claim.status === 'done') return Number(claim.result)
  if (claim.status === 'fresh') await claims.release(space, 'ms', claim.token)
  return undefined
}

function windowSpace(group: string, topic: string): string {
  return `window:${group.length}:${group}:${topic}`
}

/** The inbox of a group for a topic, as a space of claims; lengths keep `a:b` + `c` apart from `a` + `b:c`. */
export function inboxSpace(group: string, topic: string): string {
  return `inbox:${group.length}:${group}:${topic}`
}
