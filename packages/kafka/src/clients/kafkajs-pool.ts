import type { Socket } from 'node:net'
import { closedByUs, Fault } from '../errors.ts'
import type { Endpoint } from '../options.ts'
import { addressBook, nameOf } from './address-book.ts'
import type { Access, SocketFactory } from './kafkajs-access.ts'
import { faultOfKafkajs } from './kafkajs-faults.ts'
import { internals, type NativeBroker, silence } from './kafkajs-internals.ts'
import type { ClientSettings } from './port.ts'

/**
 * Requests that wait for other members have a connection of their own: what follows on the same one would wait, too. kafkajs itself keeps one
 * for fetches.
 */
export type Lane = (typeof lanes)[number]
const lanes = ['short', 'join'] as const

/** Runs requests of kafkajs on nodes. */
export interface Pool {
  learn(id: number, endpoint: Endpoint): void
  /** On a node; a lost or silent connection goes, so that the next one begins anew. `short` where no lane is named. */
  ask<T>(id: number, request: (broker: NativeBroker) => Promise<T>, lane?: Lane): Promise<T>
  /** On whichever node answers first in turn: known ones, then the given ones. */
  anyone<T>(request: (broker: NativeBroker) => Promise<T>): Promise<T>
  end(): void
}

interface Node {
  readonly endpoint: Endpoint
  readonly lane: Lane
  readonly broker: NativeBroker
  readonly sockets: Set<Socket>
}

const keyOf = (endpoint: Endpoint, lane: Lane): string => `${lane} ${nameOf(endpoint)}`

/** Connections by address, opened when needed; a socket that failed or went silent is destroyed. */
export function pool(settings: ClientSettings, access: Access): Pool {
  const nodes = new Map<string, Node>()
  /** Also of nodes that others have taken the place of: who waits for a connection of one may still open it. */
  const open = new Set<Socket>()
  const addresses = addressBook(access.endpoints)
  let closed = false

  /** kafkajs hears of an end only by `end` and `error`, so a silent destroy would leave requests hanging. */
  const destroy = (socket: Socket): void => void socket.destroy(new Error('closed by us'))
  const nodeAt = (endpoint: Endpoint, lane: Lane): Node => {
    const found = nodes.get(keyOf(endpoint, lane))
    if (found !== undefined) return found
    const sockets = new Set<Socket>()
    const socketFactory: SocketFactory = (where) => {
      const socket = access.socketFactory(where)
      socket.setNoDelay(true)
      socket.setKeepAlive(true, 10_000)
      for (const set of [open, sockets]) {
        set.add(socket)
        socket.once('close', () => set.delete(socket))
      }
      if (closed) destroy(socket)
      return socket
    }
    const broker = internals().broker({
      ...endpoint,
      rack: null,
      clientId: settings.clientId,
      ssl: access.ssl,
      sasl: access.sasl,
      connectionTimeout: settings.connectTimeoutMs,
      requestTimeout: lane === 'join' ? settings.joinTimeoutMs : settings.requestTimeoutMs,
      logger: silence,
      socketFactory,
    })
    const node: Node = { endpoint, lane, broker, sockets }
    nodes.set(keyOf(endpoint, lane), node)
    return node
  }
  /** With the other lanes to the same place: a silence that one has noticed each of them would wait for again. Not what has taken its place since. */
  const cut = (node: Node): void => {
    const current = nodes.get(keyOf(node.endpoint, node.lane)) === node
    const gone = current ? lanes.map((lane) => keyOf(node.endpoint, lane)) : []
    for (const each of [node, ...gone.map((key) => nodes.get(key))])
      for (const socket of each?.sockets ?? []) destroy(socket)
    for (const key of gone) nodes.delete(key)
  }
  const connected = async (endpoint: Endpoint, lane: Lane): Promise<Node> => {
    if (closed) throw new Fault('refused', closedByUs, 'the connection was closed')
    const node = nodeAt(endpoint, lane)
    if (node.broker.isConnected()) return node
    try {
      await node.broker.connect()
      return node
    } catch (error) {
      cut(node)
      throw faultOfKafkajs(error, false)
    }
  }
  const run = async <T>(node: Node, request: (broker: NativeBroker) => Promise<T>): Promise<T> => {
    try {
      return await request(node.broker)
    } catch (error) {
      const fault = faultOfKafkajs(error, true)
      if (fault.kind === 'connection') cut(node)
      throw fault
    }
  }
  return {
    learn: addresses.learn,
    async ask<T>(id: number, request: (broker: NativeBroker) => Promise<T>, lane: Lane = 'short'): Promise<T> {
      return run(await connected(addresses.of(id), lane), request)
    },
    async anyone<T>(request: (broker: NativeBroker) => Promise<T>): Promise<T> {
      let last: Fault | undefined
      for (const endpoint of addresses.all()) {
        try {
          return await run(await connected(endpoint, 'short'), request)
        } catch (error) {
          last = faultOfKafkajs(error, true)
          if (last.kind === 'broker' || last.kind === 'login' || last.kind === 'client') throw last
          addresses.silent(endpoint)
        }
      }
      throw last ?? new Fault('refused', 'CONNECTION', 'there is no address to connect to')
    },
    end(): void {
      closed = true
      for (const socket of open) destroy(socket)
      nodes.clear()
    },
  }
}
