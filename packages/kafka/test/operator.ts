// What an operator does to the topics of a fault run, by a client that is not ours.
import { setTimeout as sleep } from 'node:timers/promises'
import { type Admin, Kafka, logLevel } from 'kafkajs'

/** Waits until the groups have committed everything of topics that begin with a prefix, then removes the main ones and makes them again as they were, empty. */
export async function removeAndMakeAgain(broker: string, prefix: string): Promise<void> {
  const admin = new Kafka({ brokers: [broker], logLevel: logLevel.NOTHING }).admin()
  await admin.connect()
  try {
    for (let quiet = 0; quiet < 5; await sleep(300)) quiet = (await waiting(admin, prefix)) === 0 ? quiet + 1 : 0
    const topics = (await admin.listTopics()).filter((topic) => topic.startsWith(prefix) && !topic.includes('.-.'))
    const described = (await admin.fetchTopicMetadata({ topics })).topics
    await admin.deleteTopics({ topics })
    // So long that everybody has noticed.
    await sleep(8_000)
    await admin.createTopics({
      topics: described.map(({ name, partitions }) => ({ topic: name, numPartitions: partitions.length })),
      waitForLeaders: true,
    })
  } finally {
    await admin.disconnect()
  }
}

/** How much the groups have not committed. */
async function waiting(admin: Admin, prefix: string): Promise<number> {
  const topics = (await admin.listTopics()).filter((topic) => topic.startsWith(prefix) && !topic.endsWith('.dead'))
  const ends = new Map<string, readonly { readonly partition: number; readonly high: string }[]>()
  for (const topic of topics) ends.set(topic, await admin.fetchTopicOffsets(topic))
  const { groups } = await admin.listGroups()
  let count = 0
  for (const { groupId } of groups.filter((group) => group.groupId.startsWith(prefix)))
    for (const { topic, partitions } of await admin.fetchOffsets({ groupId, topics }))
      for (const { partition, offset } of partitions) {
        const high = Number(ends.get(topic)?.find((end) => end.partition === partition)?.high ?? 0)
        // A retry topic of the other group has no offsets of this one.
        if (Number(offset) >= 0 || !topic.includes('.-.')) count += high - Math.max(0, Number(offset))
      }
  return count
}
