import type { Socket } from 'node:net'
import { Fault } from '../errors.ts'
import type { Endpoint } from '../options.ts'
import { addressBook, nameOf } from './address-book.ts'
import type { Access, SocketFactory } from './kafkajs-access.ts'
import { faultOfKafkajs } from './kafkajs-faults.ts'
import { internals, type NativeBroker, silence } from './kafkajs-internals.ts'
import type { ClientSettings } from './port.ts'

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
export function pool(settings: ClientSettings, access: Access): Pool {
  const nodes = new Map<string, Node>()
  const sockets = new Map<string, Set<Socket>>()
  const addresses = addressBook(access.endpoints)
  let closed = false

  const socketFactory: SocketFactory = (where) => {
    const socket = access.socketFactory(where)
    socket.setNoDelay(true)
    socket.setKeepAlive(true, 10_000)
    const name = nameOf(where)
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
        ssl: access.ssl,
        sasl: access.sasl,
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
    learn: addresses.learn,
    /** Runs a request on a node; on a lost or silent connection its sockets go, so that the next one begins anew. */
    async ask<T>(id: number, request: (broker: NativeBroker) => Promise<T>): Promise<T> {
      const endpoint = addresses.of(id)
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
      for (const endpoint of addresses.all()) {
        try {
          const node = await connected(endpoint)
          return await request(node.broker)
        } catch (error) {
          last = faultOfKafkajs(error, true)
          if (last.kind === 'connection') cut(endpoint)
          if (last.kind === 'broker' || last.kind === 'login' || last.kind === 'client') throw last
          addresses.silent(endpoint)
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
