import type { Foreign } from '@posthorn/testkit/conformance'
import { Kafka, logLevel } from 'kafkajs'

/** A topic of somebody else's, written to by kafkajs alone. */
export function kafkajsOn(address: string): Foreign {
  const raw = new Kafka({ brokers: [address], logLevel: logLevel.NOTHING })
  return {
    async prepare(namespace) {
      const topic = `${namespace}-theirs`
      const admin = raw.admin()
      await admin.connect()
      await admin.createTopics({ topics: [{ topic, numPartitions: 2 }], waitForLeaders: true })
      await admin.disconnect()
      return { topic }
    },
    async publish(on, body, headers) {
      const producer = raw.producer()
      await producer.connect()
      const message = { value: Buffer.from(body), headers: { ...headers } }
      await producer.send({ topic: (on as { readonly topic: string }).topic, messages: [message] })
      await producer.disconnect()
    },
  }
}
