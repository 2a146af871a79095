// The broker: what a connection offers.
import type { Capabilities, Having, Need } from './connecting.ts'
import type {
  BatchOptions,
  ConsumeOptions,
  Consumer,
  Delivery,
  Guarantee,
  Handle,
  HandlerOf,
  Puller,
  PullOptions,
  Query,
  Replay,
  ReplayOptions,
  RespondOptions,
  Stored,
} from './handling.ts'
import type { BodyOf, Source, Topic } from './messages.ts'
import type { DeadLetters, Events, Explanation, Health, Lag, Topics } from './operating.ts'
import type { Check, Producer, ProducerOptions, RequestOptions } from './sending.ts'
import type { Store } from './stores.ts'

export type Broker<C extends Capabilities = Capabilities, Client = unknown> = BrokerBase<C, Client> &
  (C['replay'] extends true
    ? { replay<S extends Source>(from: S, options: ReplayOptions, handler: Handle<BodyOf<S>>): Promise<Replay> }
    : unknown) &
  (C['query'] extends true
    ? { query<S extends Source>(from: S, where: Query): AsyncIterable<Stored<BodyOf<S>>> }
    : unknown)

/** Write `Broker`; exported because users' declaration files print it. */
export interface BrokerBase<C extends Capabilities = Capabilities, Client = unknown> extends AsyncDisposable {
  readonly name: string
  readonly capabilities: C
  readonly driver: { readonly client: Client }
  readonly store: Store
  /** The same broker with the calls that need this, too; undefined where it cannot. */
  having<N extends Need>(...needs: readonly N[]): Broker<Having<N, C>, Client> | undefined
  producer(options?: ProducerOptions): Producer
  /** The handler's shape follows `batch` and `guarantee`. */
  consume<
    S extends Source,
    B extends BatchOptions | undefined = undefined,
    G extends Guarantee | undefined = undefined,
  >(from: S, options: ConsumeOptions<B, G>, handler: HandlerOf<BodyOf<S>, B, G>): Promise<Consumer<C>>
  pull<S extends Source>(from: S, options: PullOptions): Puller<BodyOf<S>>
  request<In, Answer = unknown>(
    topic: Topic<In, unknown>,
    body: NoInfer<In>,
    options: RequestOptions<Answer>,
  ): Promise<Answer>
  respond<S extends Source, Answer = unknown>(
    to: S,
    options: RespondOptions<Answer>,
    handler: (delivery: Delivery<BodyOf<S>>) => Promise<NoInfer<Answer>>,
  ): Promise<Consumer<C>>
  /** Answers for half messages whose sender vanished. Register it at start, wherever this topic is sent with `sendHalf`. */
  checkHalf<In>(topic: Topic<In, unknown>, check: Check<In>): () => void
  /** Without a group: those that no group got. */
  deadLetters<S extends Source>(from: S, options?: { readonly group?: string | undefined }): DeadLetters<BodyOf<S>>
  lag(from: Source, options: { readonly group: string }): Promise<Lag>
  readonly topics: Topics
  health(): Promise<Health>
  explain(from: Source, options: ConsumeOptions<BatchOptions | undefined, Guarantee | undefined>): Promise<Explanation>
  on<E extends keyof Events>(event: E, listener: (event: Events[E]) => void): () => void
  close(options?: { readonly drainMs?: number | undefined }): Promise<void>
}
