// What all Kafka rows stand on: where the broker is, and a topic for each.
import { ensure } from '@posthorn/brokers'
import { type Adapter, connectAdapter, type Topic, topic } from '@posthorn/core'
import { kafka } from '@posthorn/kafka'
import { Kafka, logLevel } from 'kafkajs'
import { type Order, orderOf } from './measuring.ts'

/** The clients that the adapter can use. */
export type Client = 'kafkajs' | 'platformatic'

/** Where the broker is. */
export const address = async (): Promise<string> => new URL(await ensure('kafka')).host
/** kafkajs, by hand. */
export const native = async (): Promise<Kafka> => new Kafka({ brokers: [await address()], logLevel: logLevel.NOTHING })
const fresh = (): string => `bench${Date.now().toString(36)}${process.pid}`
/** What is sent, to so many partitions. */
export const ordersOf = (partitions: number): Topic<Order> => topic<Order>('orders', { partitions, groups: ['bench'] })
/** An order as it lies on the broker. */
export const bytesOf = (id: number): Buffer => Buffer.from(JSON.stringify(orderOf(id)))

/** Runs work on a topic of its own, and removes it. */
export const onTopic = async <T>(
  partitions: number,
  work: (namespace: string, name: string) => Promise<T>,
): Promise<T> => {
  const namespace = fresh()
  const admin = (await native()).admin()
  await admin.connect()
  const name = `${namespace}.orders`
  await admin.createTopics({ topics: [{ topic: name, numPartitions: partitions }], waitForLeaders: true })
  try {
    return await work(namespace, name)
  } finally {
    const left = (await admin.listTopics()).filter((each) => each.startsWith(namespace))
    await admin.deleteTopics({ topics: left })
    await admin.disconnect()
  }
}

/** A broker of ours through a client. */
export const connected = async (client: Client, namespace: string) =>
  connectAdapter(kafka({ brokers: await address(), client }) as Adapter, { log: false, namespace })
