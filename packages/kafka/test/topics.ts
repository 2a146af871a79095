import { ensure } from '@posthorn/brokers'
import { type Admin, ConfigResourceTypes, Kafka, logLevel } from 'kafkajs'

let found: Promise<string> | undefined

/** The broker's plain address, asked for once a file: each asking has to wait for its turn among all. */
export function address(): Promise<string> {
  found ??= ensure('kafka').then((url) => new URL(url).host)
  return found
}

/** Does something as an operator would. */
export async function asOperator<T>(work: (admin: Admin) => Promise<T>): Promise<T> {
  const admin = new Kafka({ brokers: [await address()], logLevel: logLevel.NOTHING }).admin()
  await admin.connect()
  try {
    return await work(admin)
  } finally {
    await admin.disconnect()
  }
}

/** Changes a setting of a topic. */
export async function alter(topic: string, setting: string, value: string): Promise<void> {
  const resource = { type: ConfigResourceTypes.TOPIC, name: topic, configEntries: [{ name: setting, value }] }
  await asOperator((admin) => admin.alterConfigs({ validateOnly: false, resources: [resource] }))
}

/** Gives a topic more partitions. */
export async function grow(topic: string, count: number): Promise<void> {
  await asOperator((admin) => admin.createPartitions({ topicPartitions: [{ topic, count }] }))
}

/** Removes what a namespace left: a broker with ten thousand partitions takes minutes to start again. */
export async function removeTopics(namespace: string): Promise<void> {
  await asOperator(async (admin) => {
    const topics = (await admin.listTopics()).filter((topic) => topic.startsWith(namespace))
    // One that somebody removed in between is no error here.
    if (topics.length > 0) await admin.deleteTopics({ topics }).catch(() => {})
  })
}
