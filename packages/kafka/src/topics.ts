import { type ListedTopic, noSuchTopic, pause, topicIsRead } from '@posthorn/core/driver'
import { decodeMembership } from './assignment.ts'
import type { ClusterMap } from './cluster.ts'
import { absent, faultOf, messagingError } from './errors.ts'
import type { Names } from './names.ts'

interface TopicsContext {
  readonly cluster: ClusterMap
  readonly names: Names
}

/** How often a broker is asked whether it has heard that a topic is gone, and for how long. */
const lookAgainMs = 50
const patienceMs = 10_000

/** Every topic of the namespace; its groups are those for which topics of ours lie beside it. */
export async function topicsIn({ cluster, names }: TopicsContext): Promise<readonly ListedTopic[]> {
  try {
    const views = await cluster.patiently({}, () => cluster.refresh())
    const found = new Map<string, { readonly partitions: number; readonly groups: Set<string> }>()
    for (const { name, partitions } of views) {
      const topic = names.readable(name)
      if (topic !== undefined) found.set(topic, { partitions: partitions.length, groups: new Set() })
    }
    for (const { name } of views) {
      const owner = names.owner(name)
      if (owner?.group !== undefined) found.get(owner.topic)?.groups.add(owner.group)
    }
    return [...found].map(([name, { partitions, groups }]) => ({ name, partitions, groups: [...groups].sort() }))
  } catch (error) {
    throw messagingError(error, 'the topics could not be listed')
  }
}

/**
 * Ends a topic with what lies beside it, and gives the names of all. Its groups stay, as they may read other topics; what they committed of
 * this one goes with it. The topic itself goes last, so that a second call finds what the first one left.
 */
export async function removeTopic(
  context: TopicsContext,
  topic: string,
  signal: AbortSignal,
): Promise<readonly string[]> {
  const { cluster, names } = context
  try {
    const name = names.topic(topic)
    const there = (await cluster.patiently({}, () => cluster.refresh())).map((view) => view.name)
    const beside = there.filter((each) => names.owner(each)?.topic === topic)
    if (beside.length === 0 && !there.includes(name)) throw noSuchTopic(topic, 'Kafka')
    const groups = new Set(beside.flatMap((each) => names.owner(each)?.group ?? []))
    const read: string[] = []
    for (const group of groups) if (await reads(context, topic, group)) read.push(group)
    if (read.length > 0) throw topicIsRead(topic, read)
    for (const each of [...beside, name]) {
      signal.throwIfAborted()
      await end(cluster, each, signal)
    }
    return [...beside, name]
  } catch (error) {
    throw messagingError(error, `topic ${topic} could not be removed`)
  }
}

/** Whether a living member of the group has subscribed to the topic: a group of Kafka may read several. */
async function reads({ cluster, names }: TopicsContext, topic: string, group: string): Promise<boolean> {
  const id = names.group(topic, group)
  const told = await cluster.patiently({ coordinator: id }, async () =>
    cluster.wire.memberships(await cluster.coordinator('group', id), id),
  )
  return told.some((each) => each.length > 0 && decodeMembership(each).topics.includes(names.topic(topic)))
}

/** Resolves when no broker that is asked has the topic any more, so that it can be made anew. */
async function end(cluster: ClusterMap, name: string, signal: AbortSignal): Promise<void> {
  await cluster.patiently({ topics: [name] }, async () => {
    try {
      await cluster.wire.deleteTopic(await cluster.controller(), name)
    } catch (error) {
      if (!absent(faultOf(error))) throw error
    }
  })
  for (let waited = 0; waited < patienceMs && !signal.aborted; waited += lookAgainMs) {
    cluster.forget({ topic: name })
    if (!(await cluster.exists(name))) return
    await pause(cluster.clock, lookAgainMs, signal)
  }
}
