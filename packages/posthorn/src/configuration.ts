import { readFile } from 'node:fs/promises'
import { type Config, MessagingError } from '@posthorn/core'
import {
  type ConsumerOverride,
  checkOptions,
  flag,
  ms,
  object,
  oneOf,
  plainName,
  type Rule,
  type Shape,
  type TopicOverride,
  whole,
} from '@posthorn/core/driver'

/** Everything that a file or the environment may say. `configuration.schema.json` is its JSON schema, for editors. */
export interface Configuration extends Config {
  /** By the topic's name. */
  readonly topics?: Readonly<Record<string, TopicOverride>> | undefined
  /** By the group's name. */
  readonly consumers?: Readonly<Record<string, ConsumerOverride>> | undefined
}

const text: Rule = (value) => (typeof value === 'string' && value !== '' ? undefined : 'a text that is not empty')

const topicShape: Shape = { on: object, partitions: whole(1, 1_024), retentionMs: ms(1) }
const retryShape: Shape = { attempts: whole(1, 1_000_000), inPlace: whole(0, 1_000_000), firstMs: ms(), maxMs: ms() }
const consumerShape: Shape = {
  concurrency: whole(1, 100_000),
  window: whole(1, 1_000_000),
  onFailure: oneOf('skip', 'park', 'block'),
  retry: object,
}
/** What may stand in a file beside what only code can say (`use`, `log`, `signal`). */
const fileShape: Shape = {
  $schema: text,
  url: text,
  store: text,
  namespace: text,
  topology: oneOf('declare', 'check', 'none'),
  connectTimeoutMs: ms(1),
  singleHost: flag,
  needs: (value) =>
    Array.isArray(value) && value.every((each) => each === 'replay' || each === 'query')
      ? undefined
      : "a list of 'replay' and 'query'",
  topics: object,
  consumers: object,
}

/** Refuses what is wrong, by the path of the wrong value. */
export function checkConfiguration(given: unknown, from: string): asserts given is Partial<Configuration> {
  checkOptions(from, given, fileShape)
  const { topics, consumers } = given as Partial<Configuration>
  checkNamed(`${from}: topics`, topics, topicShape)
  checkNamed(`${from}: consumers`, consumers, consumerShape)
  for (const [group, settings] of Object.entries(consumers ?? {})) {
    if (settings.retry !== undefined) checkRetry(`${from}: consumers.${group}.retry`, settings.retry)
  }
}

function checkRetry(path: string, retry: NonNullable<ConsumerOverride['retry']>): void {
  checkOptions(path, retry, retryShape)
  if (retry.attempts === undefined)
    throw new MessagingError('invalid', `${path} has no attempts; give a whole number from 1`)
  const { firstMs = 0, maxMs = firstMs } = retry
  if (maxMs < firstMs)
    throw new MessagingError('invalid', `${path}: maxMs is ${maxMs}; give no less than firstMs (${firstMs})`)
}

function checkNamed(path: string, given: Readonly<Record<string, unknown>> | undefined, shape: Shape): void {
  for (const [name, value] of Object.entries(given ?? {})) {
    const refused = plainName(name)
    if (refused !== undefined)
      throw new MessagingError('invalid', `${path} has the name ${JSON.stringify(name.slice(0, 40))}; give ${refused}`)
    checkOptions(`${path}.${name}`, value, shape)
  }
}

const configurationShape: Shape = { file: text, env: object, over: object }

/** The environment's variables, each with what it says. */
const variables = {
  POSTHORN_URL: 'url',
  POSTHORN_STORE: 'store',
  POSTHORN_NAMESPACE: 'namespace',
  POSTHORN_TOPOLOGY: 'topology',
  POSTHORN_TOPICS: 'topics',
  POSTHORN_CONSUMERS: 'consumers',
} as const

/**
 * A configuration for `connect`: what `over` says counts more than the environment, which counts more than the file. The file is
 * `POSTHORN_CONFIG` or `posthorn.json`; only one that was named must be there.
 */
export async function configuration(
  options: {
    readonly file?: string | undefined
    readonly env?: Readonly<Record<string, string | undefined>> | undefined
    readonly over?: { readonly [K in keyof Configuration]?: Configuration[K] | undefined } | undefined
  } = {},
): Promise<Configuration> {
  checkOptions('configuration()', options, configurationShape)
  const env = options.env ?? process.env
  const named = options.file ?? env['POSTHORN_CONFIG']
  const fromFile = await read(named ?? 'posthorn.json', named !== undefined)
  const fromEnvironment = environment(env)
  const { topics, consumers, ...rest } = options.over ?? {}
  const given = Object.fromEntries(Object.entries(rest).filter(([, value]) => value !== undefined))
  const merged: Partial<Configuration> = {
    ...fromFile,
    ...fromEnvironment,
    ...given,
    topics: byName(fromFile.topics, fromEnvironment.topics, topics),
    consumers: byName(fromFile.consumers, fromEnvironment.consumers, consumers),
  }
  const { $schema: _, ...settings } = merged as Partial<Configuration> & { readonly $schema?: unknown }
  if (settings.url === undefined)
    throw new MessagingError(
      'invalid',
      `no broker is configured: give url in ${named ?? 'posthorn.json'}, POSTHORN_URL, or code`,
    )
  return { ...settings, url: settings.url }
}

/** Name by name and setting by setting: the later ones count more. */
function byName<T extends object>(...layers: readonly (Readonly<Record<string, T>> | undefined)[]): Record<string, T> {
  const out: Record<string, T> = {}
  for (const layer of layers)
    for (const [name, value] of Object.entries(layer ?? {})) out[name] = { ...out[name], ...value }
  return out
}

async function read(file: string, must: boolean): Promise<Partial<Configuration>> {
  let content: string
  try {
    content = await readFile(file, 'utf8')
  } catch (cause) {
    if (!must && (cause as { readonly code?: unknown }).code === 'ENOENT') return {}
    throw new MessagingError(
      'not-found',
      `the configuration file ${file} cannot be read: ${(cause as Error).message}`,
      { cause },
    )
  }
  return parsed(content, file)
}

function parsed(content: string, from: string): Partial<Configuration> {
  let value: unknown
  try {
    value = JSON.parse(content)
  } catch (cause) {
    throw new MessagingError('invalid', `${from} is not JSON: ${(cause as Error).message}`, { cause })
  }
  checkConfiguration(value, from)
  return value
}

function environment(env: Readonly<Record<string, string | undefined>>): Partial<Configuration> {
  const out: Record<string, unknown> = {}
  for (const [variable, name] of Object.entries(variables)) {
    const value = env[variable]
    if (value === undefined || value === '') continue
    if (name === 'topics' || name === 'consumers')
      out[name] = parsed(`{${JSON.stringify(name)}:${value}}`, variable)[name]
    else out[name] = value
  }
  checkConfiguration(out, 'the environment')
  return out
}
