import { type Adapter, MessagingError } from '@posthorn/core'
import { withoutSecrets } from '@posthorn/core/driver'

/** What every adapter package exports for a URL. */
interface AdapterModule {
  readonly fromUrl: (url: string) => Adapter
}

/** Scheme by scheme, with literal imports: a template would defeat bundlers. */
const adapters: Readonly<Record<string, { readonly install: string; readonly load: () => Promise<AdapterModule> }>> = {
  memory: { install: '@posthorn/memory', load: () => import('@posthorn/memory') },
  sqlite: { install: '@posthorn/sqlite', load: () => import('@posthorn/sqlite') },
  amqp: { install: '@posthorn/rabbitmq amqplib', load: () => import('@posthorn/rabbitmq') },
  amqps: { install: '@posthorn/rabbitmq amqplib', load: () => import('@posthorn/rabbitmq') },
  kafka: { install: '@posthorn/kafka kafkajs', load: () => import('@posthorn/kafka') },
  kafkas: { install: '@posthorn/kafka kafkajs', load: () => import('@posthorn/kafka') },
}

/** Brokers whose adapters are planned. */
const planned = ['redis', 'rediss', 'postgres', 'postgresql', 'pglite', 'rocketmq', 'activemq']

/** The adapter that a URL names, if its package is installed. */
export async function adapterOf(url: string, call = 'connect()'): Promise<Adapter> {
  const scheme = /^([a-z][a-z0-9+.-]*):/i.exec(url)?.[1]?.toLowerCase()
  const entry = scheme === undefined || !Object.hasOwn(adapters, scheme) ? undefined : adapters[scheme]
  const known = Object.keys(adapters)
    .map((each) => `${each}:`)
    .join(' ')
  if (entry === undefined) {
    if (scheme !== undefined && planned.includes(scheme))
      throw new MessagingError('unsupported', `there is no adapter for ${scheme}: yet; there are ${known}`)
    throw new MessagingError(
      'invalid',
      `${call}: ${url === '' ? 'an empty text' : withoutSecrets(url)} names no broker; a URL begins with one of ${known}`,
    )
  }
  return (await loaded(entry)).fromUrl(url)
}

/** The adapter whose store a URL names. */
export const storeAdapter = (url: string): Promise<Adapter> => adapterOf(url, 'connect(): store')

async function loaded(entry: {
  readonly install: string
  readonly load: () => Promise<AdapterModule>
}): Promise<AdapterModule> {
  try {
    return await entry.load()
  } catch (cause) {
    throw notLoaded(entry.install, cause)
  }
}

/** Why an adapter's package could not be loaded, and what to do; what is no matter of installing is thrown as it is. */
export function notLoaded(install: string, cause: unknown): unknown {
  const { code, message } = (cause ?? {}) as { readonly code?: unknown; readonly message?: unknown }
  const adapter = install.split(' ')[0]
  if (code === 'ERR_UNKNOWN_BUILTIN_MODULE')
    return new MessagingError(
      'unsupported',
      `${adapter} needs Node 22.22 or later, and this is Node ${process.versions.node} (${message})`,
      { cause },
    )
  if (code !== 'ERR_MODULE_NOT_FOUND') return cause
  const missing = /^Cannot find package '([^']+)'/.exec(String(message))?.[1]
  if (missing === undefined || missing === adapter)
    return new MessagingError('not-found', `the adapter is not installed; run: npm install ${install}`, { cause })
  return new MessagingError(
    'not-found',
    `${adapter} is installed, but ${missing} is not, which it needs; run: npm install ${missing}`,
    { cause },
  )
}
