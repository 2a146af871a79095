// RabbitMQ: sending and consuming through a broker of ours beside amqplib by hand (G1 to G3; the SDK's send asks more of the broker than the shortest by hand, so one that asks the same stands beside it), and the way from send to handler (G4).
import { ensure } from '@posthorn/brokers'
import type { BenchFile, Case } from './harness/case.ts'
import { consumedByPeer, latencyOf, sentByPeer } from './parts/rabbitmq-beside-peers.ts'
import { consumedByHand, full, lean, rawLatency, routed, sentByHand } from './parts/rabbitmq-by-hand.ts'
import { consuming, latency, sending } from './parts/rabbitmq-ours.ts'
import { acm, golevelup, nest, type OpenPeer, rabbitmqClient, rascal } from './parts/rabbitmq-peers.ts'

const headers = { tenant: 'acme', source: 'shop', version: '3', trace: '00-4bf92f3577b34da6' }

const sends = 100_000
const reads = 100_000

const rows: readonly Case[] = [
  {
    what: 'RabbitMQ send, 1,000 callers, confirmed, persistent, quorum, 256 B, without headers',
    posthorn: sending(sends),
    reference: { name: 'amqplib, window of 1,000 confirms', block: sentByHand(sends, lean) },
    goals: [
      { id: 'G1.raw', unit: 'msg/s', atLeast: 0.95 },
      { id: 'G1.cpu', unit: 's CPU/100k', atMost: 1.35 },
    ],
  },
  {
    what: 'the same, where both ask whether a queue took it',
    posthorn: sending(sends),
    reference: { name: 'amqplib, by an exchange, mandatory, with an id', block: sentByHand(sends, routed, 'routed') },
    goals: [{ id: 'G1.routed', unit: 'msg/s', atLeast: 0.95 }],
  },
  {
    what: 'the same with id, time, type and four headers',
    posthorn: sending(sends, { headers }),
    reference: { name: 'amqplib, window of 1,000 confirms', block: sentByHand(sends, full) },
    goals: [
      { id: 'G2.raw', unit: 'msg/s', atLeast: 0.95 },
      { id: 'G2.cpu', unit: 's CPU/100k', atMost: 1.15 },
    ],
  },
  {
    what: 'RabbitMQ consume, at least once, async handler, prefetch 500, quorum',
    posthorn: consuming(reads),
    reference: { name: 'amqplib, one acknowledgement per turn', block: consumedByHand(reads) },
    goals: [
      { id: 'G3.raw', unit: 'msg/s', atLeast: 0.9 },
      { id: 'G3.cpu', unit: 's CPU/100k', atMost: 1.4 },
    ],
  },
  {
    what: 'RabbitMQ from send to handler at 1,000/s',
    posthorn: latency,
    reference: { name: 'amqplib by hand', block: rawLatency },
    goals: [
      { id: 'G4.p50', unit: 'ms p50', atMost: 1, plus: 0.1 },
      { id: 'G4.p99', unit: 'ms p99', atMost: 2 },
    ],
  },
]

/** What is asked beside each peer: sends, receipts, and how late the slowest may be. */
const others: readonly {
  readonly name: string
  readonly open: OpenPeer
  readonly send: number
  readonly receive: number
  readonly late: number
}[] = [
  { name: 'amqp-connection-manager', open: acm, send: 0.95, receive: 1.3, late: 1 },
  { name: 'golevelup', open: golevelup, send: 0.95, receive: 1.3, late: 1 },
  { name: 'rabbitmq-client', open: rabbitmqClient, send: 0.95, receive: 1.3, late: 1 },
  { name: 'nest', open: nest, send: 1.2, receive: 2, late: 1 },
  { name: 'rascal', open: rascal, send: 1.9, receive: 1.3, late: 0.1 },
]

const [first, , , third, fourth] = rows as readonly [Case, Case, Case, Case, Case]
const besidePeers = others.flatMap(({ name, open, send, receive, late }): readonly Case[] => [
  {
    what: first.what,
    posthorn: first.posthorn,
    reference: { name, block: sentByPeer(open, sends) },
    goals: [
      { id: `G1.${name}`, unit: 'msg/s', atLeast: send },
      { id: `G1.${name}.cpu`, unit: 's CPU/100k', atMost: name === 'nest' ? 0.6 : 1 },
    ],
  },
  {
    what: third.what,
    posthorn: third.posthorn,
    reference: { name, block: consumedByPeer(open, reads) },
    goals: [
      { id: `G3.${name}`, unit: 'msg/s', atLeast: receive },
      { id: `G3.${name}.cpu`, unit: 's CPU/100k', atMost: 1 },
    ],
  },
  {
    what: fourth.what,
    posthorn: fourth.posthorn,
    reference: { name, block: latencyOf(open) },
    goals: [{ id: `G4.${name}`, unit: 'ms p99', atMost: late }],
  },
])

export const { cases, peers, prepare }: BenchFile = {
  cases: rows,
  peers: besidePeers,
  async prepare() {
    await ensure('rabbitmq')
    return async () => {}
  },
}
