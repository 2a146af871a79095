import type { API, Connection, ConnectionOptions } from '@platformatic/kafka'
import { certificateFault, closedByUs, Fault } from '../errors.ts'
import type { Endpoint } from '../options.ts'
import { addressBook, nameOf } from './address-book.ts'
import type { Access } from './platformatic-access.ts'
import type { ClientSettings } from './port.ts'

type Library = typeof import('@platformatic/kafka')

/** Requests that wait long have a connection of their own: what follows on the same one would wait, too. */
export type Lane = 'short' | 'fetch' | 'join'

/** Connections by address, opened when needed and dropped when they fail. */
export interface Pool {
  learn(id: number, endpoint: Endpoint): void
  /** Runs a request on a node; an answer that tells of errors is an answer. */
  ask<A extends unknown[], R>(id: number, lane: Lane, api: API<A, R>, ...args: A): Promise<R>
  /** On whichever node answers first in turn. */
  anyone<A extends unknown[], R>(api: API<A, R>, ...args: A): Promise<R>
  end(): void
}

/** A pool over the library's single connections. */
export function pool(library: Library, settings: ClientSettings, access: Access): Pool {
  const connections = new Map<string, Promise<Connection>>()
  /** With where each leads. */
  const open = new Map<Connection, string>()
  /** Our certificate is looked at after the handshake: a connection ends for it, and its requests only hear that it ended. */
  const refused = new WeakMap<Connection, Fault>()
  const addresses = addressBook(access.endpoints)
  let closed = false

  const connected = async ({ host, port }: Endpoint, lane: Lane): Promise<Connection> => {
    if (closed) throw new Fault('refused', closedByUs, 'the connection was closed')
    const name = `${lane} ${host}:${port}`
    const found = connections.get(name)
    const held = await found?.catch(() => undefined)
    if (held?.isConnected() === true) return held
    if (found !== undefined && connections.get(name) === found) connections.delete(name)
    const waiting = connections.get(name)
    if (waiting !== undefined) return waiting
    const opening = begin(host, port, lane)
    connections.set(name, opening)
    return opening
  }
  const begin = async (host: string, port: number, lane: Lane): Promise<Connection> => {
    const options: ConnectionOptions = {
      connectTimeout: settings.connectTimeoutMs,
      requestTimeout: lane === 'join' ? settings.joinTimeoutMs : settings.requestTimeoutMs,
      maxInflights: 100,
      ...access.connection,
    }
    const connection = new library.Connection(settings.clientId, options)
    // Without a listener an error that comes later would end the process.
    connection.on('error', (error: unknown) => {
      const fault = faultOfPlatformatic(library, error, true)
      if (fault.kind === 'login') refused.set(connection, fault)
    })
    open.set(connection, nameOf({ host, port }))
    connection.once('close', () => open.delete(connection))
    try {
      await connection.connect(host, port)
      return connection
    } catch (error) {
      open.delete(connection)
      connection.socket?.destroy()
      throw faultOfPlatformatic(library, error, false)
    }
  }
  /** With the other lanes to the same place: a silence that one has noticed each of them would wait for again. */
  const cut = (connection: Connection): void => {
    const place = open.get(connection)
    for (const [each, leads] of open) if (leads === place) each.socket?.destroy()
  }
  const request = async <A extends unknown[], R>(connection: Connection, api: API<A, R>, args: A): Promise<R> => {
    try {
      return await api.async(connection, ...args)
    } catch (error) {
      if (error instanceof library.ResponseError && error['response'] !== undefined) return error['response'] as R
      const fault = refused.get(connection) ?? faultOfPlatformatic(library, error, true)
      if (fault.kind === 'connection') cut(connection)
      throw fault
    }
  }
  return {
    learn: addresses.learn,
    async ask(id, lane, api, ...args) {
      return request(await connected(addresses.of(id), lane), api, args)
    },
    async anyone(api, ...args) {
      let last: Fault | undefined
      for (const endpoint of addresses.all()) {
        try {
          return await request(await connected(endpoint, 'short'), api, args)
        } catch (error) {
          last = faultOfPlatformatic(library, error, true)
          if (last.kind !== 'connection' && last.kind !== 'refused') throw last
          addresses.silent(endpoint)
        }
      }
      throw last ?? new Fault('refused', 'CONNECTION', 'there is no address to connect to')
    },
    end() {
      closed = true
      for (const connection of open.keys()) connection.socket?.destroy()
      for (const connection of open.keys()) void connection.close().catch(() => {})
      open.clear()
    },
  }
}

/** What the library threw, by its innermost cause. */
function faultOfPlatformatic(library: Library, error: unknown, sent: boolean): Fault {
  if (error instanceof Fault) return error
  let text = error instanceof Error ? error.message : String(error)
  for (let each = error; each instanceof Error; each = each.cause) {
    text = each.message
    if (each instanceof library.AuthenticationError)
      return new Fault('login', 'SASL_AUTHENTICATION_FAILED', each.message, error)
    const certificate = certificateFault(each, error)
    if (certificate !== undefined) return certificate
    if (each instanceof library.UnsupportedCompressionError)
      return new Fault('broker', 'UNSUPPORTED_COMPRESSION_TYPE', each.message, error)
  }
  if (
    error instanceof library.NetworkError ||
    error instanceof library.TimeoutError ||
    (error instanceof Error && 'code' in error && /^E[A-Z]+$/.test(String(error.code)))
  )
    return new Fault(sent ? 'connection' : 'refused', 'CONNECTION', text, error)
  return new Fault('client', 'PLATFORMATIC', text, error)
}
