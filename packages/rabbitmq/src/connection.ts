import { type Clock, MessagingError, within } from '@posthorn/core/driver'
import { type ChannelModel, connect, credentials } from 'amqplib'
import { closed, gone, translated } from './errors.ts'
import type { RabbitSettings } from './options.ts'

/** One connection that is opened when it is needed and forgotten when it dies; the next who needs it opens it again. */
export interface Link {
  /**
   * The open connection; opens it, each endpoint once, where there is none. Rejects with `unavailable` or `unauthorized`, within the time that connecting
   * may take or what is left of it.
   */
  model(leftMs?: number): Promise<ChannelModel>
  /** The open connection, if there is one. */
  readonly current: ChannelModel | undefined
  /** Why the broker takes no messages now, in its words. */
  readonly blocked: string | undefined
  /** Ends within `closeMs`, whether or not the peer answers. */
  close(): Promise<void>
}

/** What happens to a link. */
export interface LinkEvents {
  up(): void
  down(error: MessagingError): void
  /** The broker is short of memory or disk; undefined: no more. */
  blocked(reason: string | undefined): void
}

export interface LinkOptions {
  readonly settings: RabbitSettings
  readonly clock: Clock
  readonly connectTimeoutMs: number
  /** Shown in the broker's list of connections. */
  readonly name: string
  readonly events: LinkEvents
}

/** How long a polite end may take before the socket is destroyed. */
const closeMs = 3_000

/** A link to one of the endpoints; with a connection that was given, that one as long as it lives. */
export function linkTo(options: LinkOptions): Link {
  const { settings, events, clock } = options
  const { connection: given } = settings
  let current: ChannelModel | undefined
  let opening: Promise<ChannelModel> | undefined
  let blocked: string | undefined
  let over = false
  let turn = Math.floor(Math.random() * Math.max(1, settings.endpoints.length))

  const adopt = (model: ChannelModel): void => {
    let why: unknown
    current = model
    model.on('error', (error) => {
      why = error
    })
    model.on('blocked', (reason) => {
      blocked = String(reason)
      events.blocked(blocked)
    })
    model.on('unblocked', () => {
      blocked = undefined
      events.blocked(undefined)
    })
    model.on('close', (error) => {
      if (current !== model) return
      current = undefined
      if (!over) events.down(translated(why ?? error ?? new Error('it was closed'), `the connection ${options.name}`))
      // The next connection will be told anew.
      if (blocked !== undefined) events.blocked(undefined)
      blocked = undefined
    })
  }
  const open = async (withinMs: number): Promise<ChannelModel> => {
    const model = await openOne(options, turn++, withinMs)
    if (over) {
      await end(model, clock)
      throw closed('this connection to RabbitMQ')
    }
    adopt(model)
    events.up()
    return model
  }
  if (given !== undefined) adopt(given)
  return {
    async model(leftMs = options.connectTimeoutMs) {
      if (over) throw closed('this connection to RabbitMQ')
      if (current !== undefined) return current
      if (given !== undefined) throw gone('the connection that was given to rabbitmq()')
      opening ??= open(leftMs).finally(() => {
        opening = undefined
      })
      return opening
    },
    get current() {
      return current
    },
    get blocked() {
      return blocked
    },
    async close() {
      if (over) return
      over = true
      const model = current
      current = undefined
      if (model !== undefined && model !== given) await end(model, clock)
    },
  }
}

/** Tries each endpoint once, beginning with another one each time. */
async function openOne(options: LinkOptions, turn: number, withinMs: number): Promise<ChannelModel> {
  const { settings, clock } = options
  const until = clock.now() + withinMs
  const { endpoints } = settings
  let last: unknown
  for (let i = 0; i < endpoints.length; i++) {
    const endpoint = endpoints[(turn + i) % endpoints.length] as (typeof endpoints)[number]
    const left = (until - clock.now()) / (endpoints.length - i)
    if (left <= 0) break
    try {
      return await openAt(options, endpoint, left)
    } catch (error) {
      last = error
      if (error instanceof MessagingError && error.code === 'unauthorized') throw error
    }
  }
  throw last ?? gone(`no endpoint of ${settings.address} answered within ${Math.round(withinMs)} ms`)
}

async function openAt(
  { settings, clock, name }: LinkOptions,
  { host, port }: RabbitSettings['endpoints'][number],
  timeoutMs: number,
): Promise<ChannelModel> {
  const about = `connecting to RabbitMQ at ${host}:${port}`
  const { ca, cert, key, passphrase, servername } = settings.tls
  const trying = connect(
    {
      protocol: settings.secure ? 'amqps' : 'amqp',
      hostname: host,
      port,
      username: settings.user,
      password: settings.password,
      vhost: encodeURIComponent(settings.vhost),
      heartbeat: settings.heartbeatS,
    },
    {
      noDelay: true,
      timeout: Math.ceil(timeoutMs),
      clientProperties: { connection_name: name, product: 'posthorn' },
      credentials:
        settings.login === 'external' ? credentials.external() : credentials.plain(settings.user, settings.password),
      ...(ca === undefined ? {} : { ca }),
      ...(cert === undefined ? {} : { cert }),
      ...(key === undefined ? {} : { key }),
      ...(passphrase === undefined ? {} : { passphrase }),
      ...(servername === undefined ? {} : { servername }),
    },
  )
  // The client's own deadline starts anew with every byte, so a peer that drips would hold us for ever.
  const model = await within(trying, timeoutMs, clock).catch((error) => {
    throw /Expected ConnectionOpenOk/.test(String(error))
      ? unopened(error, about, settings.vhost)
      : unreached(error, about)
  })
  if (model !== undefined) return model
  trying.then(
    (late) => end(late, clock),
    () => {},
  )
  throw new MessagingError('unavailable', `${about}: no answer within ${Math.round(timeoutMs)} ms; ${nobody}`)
}

const nobody = 'is it running, and is the address right? connectTimeoutMs says how long to wait for it'
/** What a port says that expects TLS, or something else than AMQP; and one that does not expect TLS. */
const strangers = [
  {
    says: /Socket closed abruptly during opening handshake/,
    hint: 'is it the port of AMQP, and is amqps:// needed there?',
  },
  { says: /wrong version number/i, hint: 'that port does not speak TLS; is amqp:// meant, or another port?' },
]

/** A connection that did not come about; where nobody was there, or somebody else, with what to look at. */
function unreached(error: unknown, about: string): MessagingError {
  const ours = translated(error, about)
  const hint = strangers.find(({ says }) => says.test(ours.message))?.hint
  if (hint !== undefined) return new MessagingError('unavailable', `${about}: ${hint}`, { cause: error })
  if (ours.code !== 'unavailable') return ours
  return new MessagingError('unavailable', `${ours.message}; ${nobody}`, { cause: error })
}

/** amqplib does not tell why: there is no such virtual host, or it is not ours to use, or the broker is just starting. So it may pass. */
function unopened(cause: unknown, about: string, vhost: string): MessagingError {
  return new MessagingError(
    'unavailable',
    `${about}: it does not open the virtual host ${JSON.stringify(vhost)}; is it there, may this user use it, and does it take one more connection?`,
    { cause },
  )
}

/** Closes politely; a peer that does not answer loses its socket. */
async function end(model: ChannelModel, clock: Clock): Promise<void> {
  model.on('error', () => {})
  const polite = new Promise<void>((resolve) => {
    // A connection that breaks while it closes says so by the event alone.
    model.once('close', () => resolve())
    model.close().then(resolve, () => resolve())
  })
  await within(polite, closeMs, clock)
  // amqplib ends the socket only; one with data that nobody takes would stay and keep the process.
  const { stream } = model.connection as unknown as { readonly stream?: { destroy(): void } }
  stream?.destroy()
}
