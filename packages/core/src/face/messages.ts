// Messages as a user sees them: topics, patterns, codecs, headers.

/** Any schema library: https://standardschema.dev (zod, valibot, arktype, ...). */
export interface StandardSchema<In = unknown, Out = In> {
  readonly '~standard': {
    readonly version: 1
    readonly vendor: string
    readonly validate: (value: unknown) => unknown
    readonly types?: { readonly input: In; readonly output: Out } | undefined
  }
}
export type AnySchema = { readonly '~standard': StandardSchema['~standard'] }
export type SchemaIn<S extends AnySchema> = NonNullable<S['~standard']['types']>['input']
export type SchemaOut<S extends AnySchema> = NonNullable<S['~standard']['types']>['output']

/** A name, a type and a codec in one value. `In` is what is sent, `Out` what a handler gets. */
export interface Topic<In = unknown, Out = In> {
  readonly name: string
  /** Made by `topic()`, never by hand. Carries the types: read as any wider type, written as any narrower one. */
  readonly '~topic': { readonly in: (body: In) => void; readonly out: Out }
}
export interface TopicGroup {
  readonly name: string
  readonly order?: Ordering | undefined
  readonly filter?: Filter | undefined
}
export type Ordering = 'key' | 'topic' | 'none'
export type Filter = { readonly tag: string } | { readonly sql: string } | { readonly headers: MessageHeaders }
export type AnyTopic = Topic<never, unknown>
export interface TopicOptions<In> {
  readonly key?: ((body: In) => string | undefined) | undefined
  /** How many lanes keys are hashed to. Default 8. */
  readonly partitions?: number | undefined
  /** Groups that must exist before the first send: on queue brokers producers declare their queues, too. */
  readonly groups?: readonly (string | TopicGroup)[] | undefined
  readonly codec?: Codec | undefined
  readonly retentionMs?: number | undefined
  /** Of every message that does not say otherwise. */
  readonly expiresInMs?: number | undefined
  readonly priority?: number | undefined
  /** What is written now; `upcast[n]` makes a body of version n one of n + 1 before the schema sees it. */
  readonly version?: number | undefined
  readonly upcast?: Readonly<Record<number, (body: unknown) => unknown>> | undefined
  /** What already exists on a broker, per adapter: an exchange, a stream, a table. Each adapter adds its own key. */
  readonly on?: OnAdapter | undefined
}
/** Each adapter merges its key in: `declare module '@posthorn/core' { interface AdapterMapping { readonly rabbitmq?: RabbitMapping | undefined } }`. */
export interface AdapterMapping {}
export type OwnAdapter = 'memory' | 'sqlite' | 'postgres' | 'rabbitmq' | 'kafka' | 'redis' | 'rocketmq' | 'activemq'
/** Exact where the adapter's types are loaded, loose where only its name is known, refused where the name is misspelt. */
export type OnAdapter = AdapterMapping & {
  readonly [K in Exclude<OwnAdapter, keyof AdapterMapping>]?: Readonly<Record<string, unknown>> | undefined
}
/** Many topics by wildcard: `*` one word, `#` any number of words at the end, words parted by dots. */
export interface Pattern<Out = unknown> {
  readonly pattern: string
  readonly '~topic': { readonly out: Out }
}
/** What can be read. */
export type Source<T = unknown> = Topic<never, T> | Pattern<T>
export type BodyOf<S extends Source> = S['~topic']['out']

export interface Codec {
  readonly contentType: string
  /** May wait (a schema registry) and may add headers (CloudEvents in binary mode). */
  encode(value: unknown, message: CodecContext): Encoded | Promise<Encoded>
  decode(bytes: Uint8Array, message: CodecContext): unknown
}
export interface CodecContext {
  readonly id: string
  readonly topic: string
  readonly headers: MessageHeaders
}
export type Encoded = Uint8Array | { readonly bytes: Uint8Array; readonly headers: MessageHeaders }

/** One that is undefined is not sent; one that is absent reads as undefined, with or without noUncheckedIndexedAccess. */
export type MessageHeaders = Readonly<Record<string, string | undefined>>
