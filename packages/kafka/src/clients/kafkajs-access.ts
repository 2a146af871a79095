import { connect as connectTcp, isIP, type Socket } from 'node:net'
import { connect as connectTls } from 'node:tls'
import { MessagingError } from '@posthorn/core'
import type { Endpoint, Login } from '../options.ts'
import type { ClientSettings } from './port.ts'

/** Opens a socket, as kafkajs asks for it. */
export type SocketFactory = (where: {
  readonly host: string
  readonly port: number
  readonly ssl: object | null
  readonly onConnect: () => void
}) => Socket

/** Where the brokers are and how to get to them, in kafkajs' words. */
export interface Access {
  readonly endpoints: readonly Endpoint[]
  readonly ssl: object | null
  readonly sasl: object | null
  readonly socketFactory: SocketFactory
}

/** A login as kafkajs takes it. */
export function saslOf(login: Login): object {
  return login.mechanism === 'oauthbearer'
    ? { mechanism: 'oauthbearer', oauthBearerProvider: async () => ({ value: await login.token() }) }
    : { mechanism: login.mechanism, username: login.user, password: login.password }
}

/** The access that options say, or that a `Kafka` of the user's was made with. */
export async function accessOf({ endpoints, tls, login, given }: ClientSettings): Promise<Access> {
  if (given !== undefined) return accessOfGiven(given)
  return {
    endpoints,
    ssl: tls ?? null,
    sasl: login === undefined ? null : saslOf(login),
    socketFactory: ({ host, port, ssl, onConnect }) =>
      ssl === null
        ? connectTcp({ host, port }, onConnect)
        : connectTls({ host, port, ...(isIP(host) === 0 ? { servername: host } : {}), ...ssl }, onConnect),
  }
}

interface Builder {
  /** Of a broker; without one, of the next of those that the user gave. */
  build(): Promise<{
    readonly host: string
    readonly port: number
    readonly ssl?: object
    readonly sasl?: object
    readonly socketFactory: SocketFactory
  }>
}

/** kafkajs keeps what a `Kafka` was made with to itself, and tells it to what it makes of it. */
async function accessOfGiven(given: object): Promise<Access> {
  const key = Object.getOwnPropertySymbols(given).find(
    ({ description }) => description === 'private:Kafka:createCluster',
  )
  const make = key && (given as Record<symbol, (options: object) => { readonly connectionPoolBuilder?: Builder }>)[key]
  const builder = make?.({}).connectionPoolBuilder
  if (builder === undefined)
    throw new MessagingError(
      'invalid',
      'kafka({ client }): this Kafka is not of kafkajs 2.2.4; give brokers in its place',
    )
  const found = new Map<string, Endpoint>()
  for (;;) {
    const { host, port, ssl, sasl, socketFactory } = await builder.build()
    const name = `${host}:${port}`
    if (found.has(name)) return { endpoints: [...found.values()], ssl: ssl ?? null, sasl: sasl ?? null, socketFactory }
    found.set(name, { host, port })
  }
}
