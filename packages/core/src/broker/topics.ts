import { MessagingError } from '../errors.ts'
import type { AnyTopic } from '../face/messages.ts'
import type { ListedTopic, Topics } from '../face/operating.ts'
import type { Runtime } from './runtime.ts'

/** Lists topics, and ends one with all that hangs on it. */
export function topics(runtime: Runtime): Topics {
  const list = async (): Promise<readonly ListedTopic[]> => {
    runtime.open('topics')
    if (runtime.driver.topics === undefined)
      throw new MessagingError(
        'unsupported',
        `${runtime.name} does not tell its topics; use the tools that came with the broker`,
      )
    const found = await runtime.driver.topics(runtime.closing)
    return [...found].sort((a, b) => (a.name < b.name ? -1 : 1))
  }
  return {
    list,
    async delete(topic: AnyTopic) {
      const { name, partitions } = runtime.specOf(topic)
      // What hangs on it is known only while it is there.
      const found = (await list()).find((each) => each.name === name) ?? { name, partitions, groups: [] }
      await runtime.remove(topic, runtime.closing)
      for (const group of found.groups) await forgetParked(runtime, name, group)
      return found
    },
  }
}

async function forgetParked({ keeper }: Runtime, topic: string, group: string): Promise<void> {
  for await (const { id } of keeper?.parkedOf(topic, group) ?? []) await keeper?.discardParked(topic, group, id)
}
