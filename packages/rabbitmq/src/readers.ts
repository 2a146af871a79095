// Readers that are no group, by pattern or broadcast. Their exchange is linked to topics only where somebody reads so: an exchange more on the
// way of each message costs the broker a quarter of what the message costs.
import { isMessagingError, within } from '@posthorn/core/driver'
import { written } from './book.ts'
import type { Declaring } from './declaring.ts'
import {
  askingStep,
  feedStep,
  type GroupPlan,
  groupBindings,
  linkedStep,
  namespacePlan,
  queuesOf,
  readersPlan,
  readingPlan,
  type Step,
} from './plan.ts'
import { establish, exists, onChannel } from './topology.ts'

/** A topic as readers hear of it. */
export interface Heard {
  readonly topic: string
  readonly partitions: number
  /** Whether it has a group; only then its sends may reach readers. */
  readonly grouped: boolean
}

/**
 * Links a topic to the readers' exchange if there are readers. Whoever declares a topic or a group asks last, and a reader first makes what is
 * asked for: so one of two that come at once sees the other.
 */
export async function heard(on: Declaring, { topic, partitions, grouped }: Heard, signal: AbortSignal): Promise<void> {
  const { names, context, link } = on
  if (context.topology !== 'declare' || !(await somebodyReads(on, signal))) return
  const about = `the readers of topic ${topic}`
  await onChannel(link, context.clock, about, signal, (channel) =>
    establish(channel, readersPlan(names, topic, partitions, grouped), 'declare', about),
  )
}

/** How long the broker may take to give a message back, before it is looked for the queue instead. */
const askMs = 2_000

/** Whether there are readers. Under an alarm no message is taken, and consumers must get on: then it is looked for their queue. */
async function somebodyReads(on: Declaring, signal: AbortSignal): Promise<boolean> {
  if (on.writes.blocked === undefined) {
    const asked = ask(on, signal)
    // Of one that comes too late nobody hears.
    asked.catch(() => {})
    const answer = await within(asked, askMs, on.context.clock)
    if (answer !== undefined) return answer
  }
  return exists(on, readingPlan(on.names)[0], signal)
}

/** By a message that comes back where nobody reads: to look for what is not there writes an error into the broker's log each time. */
function ask({ names, context, writes }: Declaring, signal: AbortSignal): Promise<boolean> {
  const about = 'looking for readers by pattern or broadcast'
  return onChannel(writes, context.clock, about, signal, async (channel) => {
    let cameBack = false
    channel.on('return', () => {
      cameBack = true
    })
    const asking = [askingStep(names)]
    await establish(channel, asking, 'declare', about)
    channel.publish(names.readers, '', Buffer.alloc(0), { mandatory: true })
    // The answer to this comes behind what comes back.
    await establish(channel, asking, 'declare', about)
    return !cameBack
  })
}

/**
 * Makes the readers' exchange and links it to all that is written down, once per namespace. That this was done is noted by the second who does
 * it: on a cluster the first may not see yet what another node was told a moment before.
 */
export async function listen(on: Declaring, signal: AbortSignal): Promise<void> {
  const { names, context, link } = on
  const about = 'the exchange of patterns and broadcast'
  const make = (...steps: readonly Step[]): Promise<void> =>
    onChannel(link, context.clock, about, signal, (channel) => establish(channel, steps, context.topology, about))
  const exchanges = [...namespacePlan(names), feedStep(names)]
  if (context.topology !== 'declare') return make(...exchanges)
  if (await exists(on, linkedStep(names), signal)) return
  const reading = readingPlan(names)
  const before = await exists(on, reading[0], signal)
  await make(...exchanges, askingStep(names), ...reading)
  for (const plan of await groupsWritten(on, signal)) await linkTopic(on, plan, signal)
  if (before) await make(linkedStep(names))
}

/** Each topic that is written down, and each group of it as it was written last. */
async function groupsWritten(on: Declaring, signal: AbortSignal): Promise<readonly Linking[]> {
  const found = new Map<string, Linking>()
  for (const { topic, partitions, group } of await written(on, signal))
    found.set(JSON.stringify([topic, group?.name]), {
      topic,
      partitions,
      group:
        group === undefined
          ? undefined
          : { topic, group: group.name, order: group.order, partitions, filter: undefined, priority: undefined },
    })
  return [...found.values()]
}

interface Linking extends Omit<Heard, 'grouped'> {
  readonly group: GroupPlan | undefined
}

/** A group whose queues are there is bound before it is linked: who makes it may be between the two. Without queues it links itself later. */
async function linkTopic(on: Declaring, { topic, partitions, group }: Linking, signal: AbortSignal): Promise<void> {
  const { names, context, link } = on
  const about = `linking topic ${topic} to its readers`
  try {
    await onChannel(link, context.clock, about, signal, async (channel) => {
      if (group !== undefined) {
        const queues = queuesOf(names, group).map((name) => ({ do: 'queue', name, args: {} }) as const)
        await establish(channel, queues, 'check', about)
        await establish(channel, groupBindings(names, group), 'declare', about)
      }
      await establish(channel, readersPlan(names, topic, partitions, group !== undefined), 'declare', about)
    })
  } catch (error) {
    // It is not there yet, or not any more.
    if (!isMessagingError(error, 'not-found')) throw error
  }
}
