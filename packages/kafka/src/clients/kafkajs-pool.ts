import { connect as connectTcp, isIP, type Socket } from 'node:net'
import { connect as connectTls } from 'node:tls'
import { Fault } from '../errors.ts'
import type { Endpoint, Login } from '../options.ts'
import { faultOfKafkajs } from './kafkajs-faults.ts'
import { internals, type NativeBroker, silence } from './kafkajs-internals.ts'
import type { ClientSettings } from './port.ts'

/** A login as kafkajs takes it. */
export function saslOf(login: Login): object {
  return login.mechanism === 'oauthbearer'
    ? { mechanism: 'oauthbearer', oauthBearerProvider: async () => ({ value: await login.token() }) }
    : { mechanism: login.mechanism, username: login.user, password: login.password }
}

/** Runs requests of kafkajs on nodes. */
export interface Pool {
  learn(id: number, endpoint: Endpoint): void
  /** On a node; on a lost or silent connection its sockets go, so that the next one begins anew. */
  ask<T>(id: number, request: (broker: NativeBroker) => Promise<T>): Promise<T>
  /** On whichever node answers first in turn: known ones, then the given ones. */
  anyone<T>(request: (broker: NativeBroker) => Promise<T>): Promise<T>
  end(): void
}

interface Node {
  readonly endpoint: Endpoint
  readonly broker: NativeBroker
}

/** Connections by address, opened when needed; a socket that failed or went silent is destroyed. */
export function pool(settings: ClientSettings): Pool {
  const nodes = new Map<string, Node>()
  const sockets = new Map<string, Set<Socket>>()
  const addresses = new Map<number, Endpoint>()
  let closed = false

  const nameOf = ({ host, port }: Endpoint): string => `${host}:${port}`
  const socketFactory = ({
    host,
    port,
    ssl,
    onConnect,
  }: {
    host: string
    port: number
    ssl: object | null
    onConnect: () => void
  }) => {
    const socket =
      ssl === null
        ? connectTcp({ host, port, noDelay: true }, onConnect)
        : connectTls({ host, port, ...(isIP(host) === 0 ? { servername: host } : {}), ...ssl }, onConnect)
    socket.setKeepAlive(true, 10_000)
    const name = nameOf({ host, port })
    const set = sockets.get(name) ?? new Set()
    sockets.set(name, set.add(socket))
    socket.once('close', () => set.delete(socket))
    return socket
  }
  const nodeAt = (endpoint: Endpoint): Node => {
    const name = nameOf(endpoint)
    const found = nodes.get(name)
    if (found !== undefined) return found
    const node: Node = {
      endpoint,
      broker: internals().broker({
        ...endpoint,
        rack: null,
        clientId: settings.clientId,
        ssl: settings.tls ?? null,
        sasl: settings.login === undefined ? null : saslOf(settings.login),
        connectionTimeout: settings.connectTimeoutMs,
        requestTimeout: settings.requestTimeoutMs,
        logger: silence,
        socketFactory,
      }),
    }
    nodes.set(name, node)
    return node
  }
  /** kafkajs hears of an end only by `end` and `error`, so a silent destroy would leave requests hanging. */
  const cut = (endpoint: Endpoint): void => {
    nodes.delete(nameOf(endpoint))
    for (const socket of sockets.get(nameOf(endpoint)) ?? []) socket.destroy(new Error('closed by us'))
  }
  const connected = async (endpoint: Endpoint): Promise<Node> => {
    if (closed) throw new Fault('refused', 'CLOSED', 'the connection was closed')
    const node = nodeAt(endpoint)
    if (node.broker.isConnected()) return node
    try {
      await node.broker.connect()
      return node
    } catch (error) {
      cut(endpoint)
      throw faultOfKafkajs(error, false)
    }
  }
  return {
    learn(id: number, endpoint: Endpoint): void {
      addresses.set(id, endpoint)
    },
    /** Runs a request on a node; on a lost or silent connection its sockets go, so that the next one begins anew. */
    async ask<T>(id: number, request: (broker: NativeBroker) => Promise<T>): Promise<T> {
      const endpoint = addresses.get(id)
      if (endpoint === undefined) throw new Fault('refused', 'CONNECTION', `node ${id} has no known address`)
      const node = await connected(endpoint)
      try {
        return await request(node.broker)
      } catch (error) {
        const fault = faultOfKafkajs(error, true)
        if (fault.kind === 'connection') cut(endpoint)
        throw fault
      }
    },
    /** Runs a request on whichever node answers first in turn: known ones, then the given ones. */
    async anyone<T>(request: (broker: NativeBroker) => Promise<T>): Promise<T> {
      let last: Fault | undefined
      for (const endpoint of [...addresses.values(), ...settings.endpoints]) {
        try {
          const node = await connected(endpoint)
          return await request(node.broker)
        } catch (error) {
          last = faultOfKafkajs(error, true)
          if (last.kind === 'connection') cut(endpoint)
          if (last.kind === 'broker' || last.kind === 'login' || last.kind === 'client') throw last
        }
      }
      throw last ?? new Fault('refused', 'CONNECTION', 'there is no address to connect to')
    },
    end(): void {
      closed = true
      for (const set of sockets.values()) for (const socket of set) socket.destroy(new Error('closed by us'))
      nodes.clear()
    },
  }
}
