// What both sides of the RabbitMQ rows stand on.
import { ensure } from '@posthorn/brokers'
import { connect } from 'amqplib'
import type { Pace } from './paced.ts'

/** A name that no other run has. */
export const fresh = (): string => `bench${Date.now().toString(36)}${process.pid}`

/** Runs work in a namespace of its own, and removes what it left. */
export const inNamespace = async <T>(work: (namespace: string, url: string) => Promise<T>): Promise<T> => {
  const namespace = fresh()
  const url = await ensure('rabbitmq')
  try {
    return await work(namespace, url)
  } finally {
    const connection = await connect(url)
    const channel = await connection.createChannel()
    for (const queue of ['orders@bench', 'orders@bench~dead', '~unroutable', '~topics'])
      await channel.deleteQueue(`${namespace}:${queue}`)
    for (const exchange of [
      'orders',
      'orders~late',
      'orders~agreed',
      'orders@bench~agreed',
      '~delivery',
      '~readers',
      '~unroutable',
    ])
      await channel.deleteExchange(`${namespace}:${exchange}`)
    await connection.close()
  }
}

/** Who send at once. */
export const callers = 1_000
/** Messages before it is measured. */
export const warmUp = 20_000

/** Deliveries that one side has in its hands. */
export const prefetch = 500

/** 1,000 messages a second. */
export const thousandASecond = (scale: number): Pace => ({ everyMs: 1, count: Math.ceil(6_000 * scale) })
