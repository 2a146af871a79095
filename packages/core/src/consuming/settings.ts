import { exponential } from '../backoff.ts'
import type { Runtime } from '../broker/runtime.ts'
import { newId } from '../driver/id.ts'
import type { From, Subscription } from '../driver/seam.ts'
import { MessagingError } from '../errors.ts'
import { type Inner, innerOf, type RetryPolicy, type Subscribed } from '../extension.ts'
import type { ConsumeExtension } from '../face/extending.ts'
import type { Guarantee, HandleOptions, SubscribeOptions } from '../face/handling.ts'
import type { AnyTopic, Filter, Ordering, Source } from '../face/messages.ts'
import { canonicalFilter } from '../filter/canonical.ts'
import { compileFilter, type Filterable } from '../filter/index.ts'
import { isPattern } from '../pattern.ts'
import { defaultRetry } from '../retry.ts'
import { type TopicParts, topicParts } from '../topic.ts'
import { checkGuarantee } from './guarantee.ts'
import { checkNamedGroup } from './named-group.ts'

/** Everything that a subscription was asked for, with the defaults filled in and checked. */
export interface Settings {
  readonly source: Source
  /** Undefined for a pattern. */
  readonly parts: TopicParts | undefined
  /** Of the topic on this broker; undefined for a pattern, whose topics have each their own. */
  readonly partitions: number | undefined
  /** Topic or pattern, for messages to people. */
  readonly name: string
  readonly group: string
  readonly mode: Subscription['mode']
  readonly member: string
  readonly order: Ordering
  readonly window: number
  readonly concurrency: number
  readonly from: From
  readonly filter: Filter | undefined
  /** Undefined where everything matches or the driver filters. */
  readonly matches: ((message: Filterable) => boolean) | undefined
  readonly guarantee: Guarantee
  readonly policy: RetryPolicy
  readonly onFailure: 'skip' | 'park' | 'block'
  /** What was sent last starts first; undefined: what came first does. */
  readonly newest: Inner['newest']
  /** Outermost first; ours at their place whatever the order in `use`. */
  readonly use: readonly ConsumeExtension[]
  readonly replay: boolean
  readonly signal: AbortSignal | undefined
}

/** What `consume`, `pull`, `replay` and `respond` may say, in one. */
export type Asked = Partial<Omit<HandleOptions, keyof SubscribeOptions>> &
  SubscribeOptions & {
    readonly mode?: 'shared' | 'broadcast' | undefined
    readonly group?: string | undefined
    readonly guarantee?: Guarantee | undefined
    readonly batch?: { readonly size: number; readonly waitMs: number } | undefined
  }

/** What configuration may say of the consumers of a group. */
export interface ConsumerOverride {
  readonly concurrency?: number | undefined
  readonly window?: number | undefined
  readonly onFailure?: 'skip' | 'park' | 'block' | undefined
  readonly retry?:
    | {
        readonly attempts: number
        readonly inPlace?: number | undefined
        readonly firstMs?: number | undefined
        readonly maxMs?: number | undefined
      }
    | undefined
}

/** How many handlers run at once where nobody says otherwise. */
const defaultConcurrency = 16

/** Window where the newest start first and nobody says otherwise: only what is in hand can be compared. */
const newestWindow = 1_000

/** Fills in, checks against adapter and store, refuses what cannot be kept. */
export function settle(
  runtime: Runtime,
  call: string,
  source: Source,
  given: Asked,
  over: Partial<Settings> = {},
): Settings {
  const parts = isPattern(source) ? undefined : topicParts(source as AnyTopic)
  const name = parts?.name ?? (source as { readonly pattern: string }).pattern
  if (parts === undefined && !runtime.traits.pattern)
    throw new MessagingError(
      'unsupported',
      `${runtime.name} has no wildcard topics, so ${call}(pattern('${name}')) cannot be met; subscribe to each topic by name`,
    )
  const mode = given.mode ?? 'shared'
  const member = newId(runtime.clock.now())
  const group = groupOf(call, name, mode, given.group, member)
  const configured = Object.hasOwn(runtime.consumers, group) ? runtime.consumers[group] : undefined
  const asked = withConfigured(given, configured)
  const known = parts?.groups.find((each) => each.name === group)
  const order = asked.order ?? known?.order ?? (parts?.key === undefined ? 'none' : 'key')
  const partitions = parts === undefined ? undefined : runtime.specOf(source as AnyTopic).partitions
  if (order === 'topic') checkOneLane(call, name, partitions)
  // Read in any case: one that cannot be is refused here, whoever applies it.
  const own = asked.filter === undefined ? undefined : canonicalFilter(asked.filter)
  if (known !== undefined && mode === 'shared' && over.replay !== true)
    checkNamedGroup(call, name, known, { order: asked.order, filter: own })
  const filter = own ?? known?.filter
  const concurrency = concurrencyOf(asked, order)
  const use = [...runtime.consumeUse, ...groupLimit(runtime, asked), ...(asked.use ?? [])]
  const newest = use.map((each) => innerOf(each).newest).findLast((each) => each !== undefined)
  const settings: Settings = {
    source,
    parts,
    partitions,
    name,
    group,
    mode,
    member,
    order,
    window: asked.window ?? Math.max(windowOf(runtime, concurrency, asked), newest === undefined ? 0 : newestWindow),
    concurrency,
    from: fromOf(asked.from),
    filter,
    matches: filter === undefined || runtime.traits.filter ? undefined : compileFilter(filter),
    guarantee: asked.guarantee ?? 'at-least-once',
    policy: policyOf(use, configured),
    onFailure: asked.onFailure ?? 'skip',
    newest,
    use: ranked(use),
    replay: false,
    signal: asked.signal,
    ...over,
  }
  return checkGuarantee(runtime, call, settings, asked)
}

/** Order over the whole is order in one lane: who has more keeps it on some brokers and not on others. */
function checkOneLane(call: string, name: string, partitions: number | undefined): void {
  if (partitions === undefined)
    throw new MessagingError(
      'unsupported',
      `${call}(pattern('${name}')): order 'topic' needs one partition, and the topics of a pattern have their own; subscribe to each topic by name, or take order 'key'`,
    )
  if (partitions !== 1)
    throw new MessagingError(
      'invalid',
      `${call}(): order 'topic' needs one partition, and topic ${name} has ${partitions}; give topic() partitions: 1, or take order 'key'`,
    )
}

/** What configuration says counts where the code says nothing. */
function withConfigured(given: Asked, configured: ConsumerOverride | undefined): Asked {
  if (configured === undefined) return given
  const { concurrency, window, onFailure } = configured
  return {
    ...given,
    concurrency: given.concurrency ?? concurrency,
    window: given.window ?? window,
    onFailure: given.onFailure ?? onFailure,
  }
}

function policyOf(use: readonly ConsumeExtension[], configured: ConsumerOverride | undefined): RetryPolicy {
  const said = use.map((each) => innerOf(each).retry).findLast((each) => each !== undefined)
  if (said !== undefined || configured?.retry === undefined) return said ?? defaultRetry
  const { attempts, inPlace, firstMs, maxMs } = configured.retry
  // The one that is said bounds the other's default.
  const first = firstMs ?? Math.min(200, maxMs ?? 200)
  const backoff = exponential({ firstMs: first, maxMs: maxMs ?? Math.max(60_000, first) })
  return { attempts, inPlace, backoff, when: undefined }
}

function groupOf(call: string, name: string, mode: string, group: string | undefined, member: string): string {
  if (mode === 'broadcast') return group === undefined ? member : `${group}.${member}`
  if (group === undefined || group === '')
    throw new MessagingError(
      'invalid',
      `${call}(${name}) needs a group: name the service that reads, or say mode: 'broadcast'`,
    )
  return group
}

function concurrencyOf(asked: Asked, order: Ordering): number {
  const { concurrency } = asked
  if (typeof concurrency === 'object') {
    if (concurrency.key !== undefined && concurrency.key !== 1)
      throw new MessagingError(
        'unsupported',
        `concurrency: { key: ${concurrency.key} } is not offered; order: 'key' means one at a time, order: 'none' any number`,
      )
  }
  const { process, group } = typeof concurrency === 'object' ? concurrency : { process: concurrency, group: undefined }
  if (order === 'topic') return 1
  if (asked.batch !== undefined) return Math.max(process ?? 1, 1) * asked.batch.size
  return process ?? Math.min(defaultConcurrency, group ?? defaultConcurrency)
}

/** What limits the whole group, where that is asked for. */
function groupLimit(runtime: Runtime, { concurrency }: Asked): readonly ConsumeExtension[] {
  if (typeof concurrency !== 'object' || concurrency.group === undefined) return []
  if (runtime.slots === undefined)
    throw new MessagingError(
      'unsupported',
      'concurrency: { group } is counted in a store by @posthorn/reliability; connect by `posthorn`, or use concurrency: { process }',
    )
  return [runtime.slots(concurrency.group)]
}

function windowOf(runtime: Runtime, concurrency: number, asked: Asked): number {
  if (runtime.traits.window !== undefined) return Math.max(runtime.traits.window, concurrency)
  return asked.batch === undefined ? Math.max(4 * concurrency, 64) : 2 * concurrency
}

function fromOf(from: Asked['from']): From {
  if (from === undefined) return 'earliest'
  if (typeof from === 'object' && 'time' in from) {
    const time = from.time.getTime()
    if (Number.isNaN(time)) throw new MessagingError('invalid', 'from: { time } is not a valid Date')
    return { time }
  }
  return from
}

/** By rank, the highest outside; equal ranks stay as they were given. */
function ranked(use: readonly ConsumeExtension[]): readonly ConsumeExtension[] {
  const rank = (each: ConsumeExtension): number => innerOf(each).rank ?? 50
  return [...use].sort((a, b) => rank(b) - rank(a))
}

/** A member of a group reads a queue where nothing keeps a history; what each reads for itself may be a stream, whose messages tell for themselves. */
function idsMayRepeat({ traits, specOf }: Runtime, { parts, source, mode }: Settings): boolean {
  return parts !== undefined && mode === 'shared' && !traits.history && specOf(source as AnyTopic).on !== undefined
}

/** What an extension of ours may know. */
export function subscribed(
  runtime: Runtime,
  settings: Settings,
  batch: boolean,
  stopping: AbortSignal = runtime.closing,
): Subscribed {
  return {
    broker: runtime.name,
    topic: settings.name,
    group: settings.group,
    store: runtime.store,
    clock: runtime.clock,
    traits: runtime.traits,
    idsMayRepeat: idsMayRepeat(runtime, settings),
    guarantee: settings.guarantee,
    order: settings.order,
    window: settings.window,
    replay: settings.replay,
    horizonMs: settings.parts?.retentionMs,
    batch,
    singleHost: runtime.singleHost,
    stopping,
    emit: runtime.events.emit,
    say: runtime.events.say,
  }
}
