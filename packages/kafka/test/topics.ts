import { ensure } from '@posthorn/brokers'
import { Kafka, logLevel } from 'kafkajs'

let found: Promise<string> | undefined

/** The broker's plain address, asked for once a file: each asking has to wait for its turn among all. */
export function address(): Promise<string> {
  found ??= ensure('kafka').then((url) => new URL(url).host)
  return found
}

/** Removes what a namespace left: a broker with ten thousand partitions takes minutes to start again. */
export async function removeTopics(namespace: string): Promise<void> {
  const admin = new Kafka({ brokers: [await address()], logLevel: logLevel.NOTHING }).admin()
  await admin.connect()
  try {
    const topics = (await admin.listTopics()).filter((topic) => topic.startsWith(namespace))
    // One that somebody removed in between is no error here.
    if (topics.length > 0) await admin.deleteTopics({ topics }).catch(() => {})
  } finally {
    await admin.disconnect()
  }
}
