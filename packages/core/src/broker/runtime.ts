import type { AloneGate } from '../consuming/alone.ts'
import type { ConsumerOverride } from '../consuming/settings.ts'
import type { Clock } from '../driver/clock.ts'
import type { Dispatch } from '../driver/envelope.ts'
import type { Driver, PatternSpec, SendResult, TopicSpec, Traits } from '../driver/seam.ts'
import type { Adapter, Capabilities } from '../face/connecting.ts'
import type { ConsumeExtension, SendExtension } from '../face/extending.ts'
import type { AnyTopic, Source } from '../face/messages.ts'
import type { Producer } from '../face/sending.ts'
import type { Store, Transaction } from '../face/stores.ts'
import type { List } from '../producing/slot.ts'
import type { EventBus } from './events.ts'
import type { Keeper } from './keeper.ts'
import type { lagMeter } from './operating.ts'

/** A topic as the broker has it. */
export interface Declared {
  readonly spec: TopicSpec
  /** False once it is known to be removed: whoever needs it next declares it again. */
  there: boolean
}

/** What producers, consumers and the rest of one broker share. Made once by `connect`. */
export interface Runtime {
  readonly name: string
  readonly address: string
  readonly adapter: Adapter
  readonly capabilities: Capabilities
  readonly driver: Driver
  readonly traits: Traits
  readonly clock: Clock
  /** How long the broker may be away when something begins. */
  readonly connectTimeoutMs: number
  readonly clientId: string
  readonly events: EventBus
  /** The store that was given, or the driver's own; undefined where there is none. */
  readonly store: Store | undefined
  /** Whether `store` is the driver's own: then its transactions reach `driver.send`. */
  readonly storeIsDriver: boolean
  /** Holds messages in `store`; undefined where there is no store that can, or nobody brought the patterns. */
  readonly keeper: Keeper | undefined
  /** Of a producer whose messages are part of a transaction of the broker: by which guarantee. It has no keeper, whatever store there is. */
  readonly within?: 'exactly-once-sends' | undefined
  /** `idempotent`, where somebody brought it: what `exactly-once-effects` adds by itself. */
  readonly inbox: (() => ConsumeExtension) | undefined
  /** What limits a group to so many handlers at once, where somebody brought it. */
  readonly slots: ((max: number) => ConsumeExtension) | undefined
  /** Sends what is ready-made (retry copies, dead letters, redrives) with the publish deadline and its retries; never rejects. */
  relay(dispatch: Dispatch): Promise<SendResult>
  /** The producer of `delivery.producer`, made at its first use. */
  producer(): Producer
  /** Of producers that have sent what is not settled yet. */
  readonly unsent: List
  readonly sendUse: readonly SendExtension[]
  readonly consumeUse: readonly ConsumeExtension[]
  /** What configuration says of consumers, by group. */
  readonly consumers: Readonly<Record<string, ConsumerOverride>>
  readonly singleHost: boolean
  /** Counts what is handled, for `lag()`. */
  readonly meter: ReturnType<typeof lagMeter>
  /** Suspects of all consumers run one at a time. */
  readonly alone: AloneGate
  /**
   * Declares on the broker before the first use of a topic; later calls are a look-up. Retries while the broker is away until `signal`.
   * With `tx`, of the driver's own store, once and inside that transaction, which remembers nothing.
   */
  declare(topic: AnyTopic, signal: AbortSignal, tx?: Transaction): Promise<Declared>
  /** What a driver reads from: declared if it is a topic. */
  resolve(source: Source, signal: AbortSignal): Promise<TopicSpec | PatternSpec>
  /** Ends a topic on the broker and forgets that it was declared. */
  remove(topic: AnyTopic, signal: AbortSignal): Promise<void>
  /** A send found no topic, or no group: the topic's next use declares again what is ours to declare. */
  missed(topic: string, what: 'topic' | 'groups'): void
  /** A topic as this broker declares it: what code says, and configuration above it. */
  specOf(topic: AnyTopic): TopicSpec
  /** Topics by name, of those that this broker has seen: their codecs read what keeper and dead letters hold. */
  topicNamed(name: string): AnyTopic | undefined
  /** Aborts when the broker closes for good. */
  readonly closing: AbortSignal
  /** Refuses with `closed` once `close()` has begun. */
  open(what: string): void
}
