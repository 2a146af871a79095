import { ensure } from '@posthorn/brokers'
import { type Admin, ConfigResourceTypes, Kafka, logLevel } from 'kafkajs'
import { until } from './waiting.ts'

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

/** Changes a setting of a topic; the controller answers before the broker has heard of it. */
export async function alter(topic: string, setting: string, value: string): Promise<void> {
  const of = { type: ConfigResourceTypes.TOPIC, name: topic }
  await asOperator(async (admin) => {
    await admin.alterConfigs({
      validateOnly: false,
      resources: [{ ...of, configEntries: [{ name: setting, value }] }],
    })
    const held = async () => {
      const { resources } = await admin.describeConfigs({ includeSynonyms: false, resources: [of] })
      return resources[0]?.configEntries.find(({ configName }) => configName === setting)?.configValue
    }
    await until(`${setting} of ${topic} is ${value}`, async () => (await held()) === value)
  })
}

/** Gives a topic more partitions, each with a leader. */
export async function grow(topic: string, count: number): Promise<void> {
  await asOperator(async (admin) => {
    await admin.createPartitions({ topicPartitions: [{ topic, count }] })
    await until(`${topic} has ${count} partitions`, async () => {
      const [found] = (await admin.fetchTopicMetadata({ topics: [topic] })).topics
      return found?.partitions.filter(({ leader }) => leader >= 0).length === count
    })
  })
}

/** Removes what a namespace left: a broker with ten thousand partitions takes minutes to start again. */
export async function removeTopics(namespace: string): Promise<void> {
  await asOperator(async (admin) => {
    const topics = (await admin.listTopics()).filter((topic) => topic.startsWith(namespace))
    // One that somebody removed in between is no error here.
    if (topics.length > 0) await admin.deleteTopics({ topics }).catch(() => {})
  })
}
