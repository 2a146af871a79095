import {
  type Adapter,
  type Broker,
  type Capabilities,
  type ConnectOptions,
  connectAdapter,
  type Having,
  MessagingError,
  type Need,
  type Needs,
} from '@posthorn/core'
import { idempotent, openKeeper, slots } from '@posthorn/reliability'
import { adapterOf, storeAdapter } from './adapters.ts'
import { type Configuration, checkConfiguration } from './configuration.ts'

/** `needs` is checked before the first message and opens the calls that depend on it. */
export function connect<C extends Capabilities = Capabilities, Client = unknown, N extends Need = never>(
  to: string | Adapter<C, Client> | (Configuration & Needs<N>),
  options?: ConnectOptions & Needs<N>,
): Promise<Broker<Having<N, C>, Client>>
/** Last and plain: `ReturnType<typeof connect>` promises nothing that nobody asked for. */
export function connect(to: string | Adapter | Configuration, options?: ConnectOptions): Promise<Broker>
export async function connect(
  to: string | Adapter | (Configuration & Needs<Need>),
  options: ConnectOptions & Needs<Need> = {},
): Promise<Broker> {
  const parts = { openKeeper, inbox: idempotent, slots, storeAdapter }
  if (typeof to === 'string') return connectAdapter(await adapterOf(to), options, parts)
  if (typeof to !== 'object' || to === null)
    throw new MessagingError(
      'invalid',
      `connect(): ${to === null ? 'null' : typeof to} is neither a URL nor an adapter nor a configuration; give 'sqlite:./data/app.db'`,
    )
  if ('~adapter' in to) return connectAdapter(to, options, parts)
  const { url, topics, consumers, ...configured } = to as Configuration
  if (typeof url !== 'string' || url === '')
    throw new MessagingError(
      'invalid',
      "connect(): the configuration has no url; give one, such as url: 'sqlite:./data/app.db'",
    )
  // What code says counts more than what a configuration says.
  checkConfiguration({ topics, consumers }, 'the configuration')
  return connectAdapter(await adapterOf(url), { ...configured, ...given(options) }, { ...parts, topics, consumers })
}

/** An option that is undefined is one that nobody gave. */
function given<T extends object>(options: T): Partial<T> {
  return Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined)) as Partial<T>
}
