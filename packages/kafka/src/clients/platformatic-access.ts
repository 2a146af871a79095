import type { ConnectionOptions } from '@platformatic/kafka'
import { MessagingError } from '@posthorn/core'
import type { Endpoint, Login } from '../options.ts'
import type { ClientSettings } from './port.ts'

type Library = typeof import('@platformatic/kafka')

/** Where the brokers are and how to get to them, in the library's words. */
export interface Access {
  readonly endpoints: readonly Endpoint[]
  readonly connection: Pick<ConnectionOptions, 'tls' | 'tlsServerName' | 'sasl'>
}

/** The access that options say, or that an `Admin` of the user's was made with. */
export function accessOf(library: Library, { endpoints, tls, login, given }: ClientSettings): Access {
  if (given !== undefined) return accessOfGiven(library, given)
  return {
    endpoints,
    connection: {
      // The library overrides a name within `tls`.
      ...(tls === undefined ? {} : { tls, tlsServerName: tls.servername ?? true }),
      ...(login === undefined ? {} : { sasl: saslOf(login) }),
    },
  }
}

function saslOf(login: Login): NonNullable<ConnectionOptions['sasl']> {
  if (login.mechanism === 'oauthbearer') return { mechanism: 'OAUTHBEARER', token: login.token }
  const mechanism = login.mechanism.toUpperCase() as 'PLAIN' | 'SCRAM-SHA-256' | 'SCRAM-SHA-512'
  return { mechanism, username: login.user, password: login.password }
}

interface Options extends ConnectionOptions {
  readonly bootstrapBrokers: readonly (string | Endpoint)[]
}

function accessOfGiven(library: Library, given: object): Access {
  const options = (given as Record<symbol, Options | undefined>)[library.kOptions]
  if (options === undefined)
    throw new MessagingError(
      'invalid',
      'kafka({ client }): this client is not of the installed @platformatic/kafka; give brokers in its place',
    )
  const { bootstrapBrokers, tls = options.ssl, sasl, tlsServerName } = options
  return {
    endpoints: bootstrapBrokers.map((each) => (typeof each === 'string' ? endpointOf(each) : each)),
    connection: {
      ...(tls === undefined ? {} : { tls }),
      ...(sasl === undefined ? {} : { sasl }),
      ...(tlsServerName === undefined ? {} : { tlsServerName }),
    },
  }
}

function endpointOf(text: string): Endpoint {
  const cut = text.lastIndexOf(':')
  if (cut < 0) return { host: text, port: 9092 }
  return { host: text.slice(0, cut), port: Number(text.slice(cut + 1)) }
}
