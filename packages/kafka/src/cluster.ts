import { type Clock, pause } from '@posthorn/core/driver'
import { spread } from './backoff.ts'
import type { TopicView, Wire } from './clients/port.ts'
import { absent, Fault, faultOf, passes } from './errors.ts'

/** What we know of the cluster: who leads which partition, who coordinates what. Asked again when it proves wrong. */
export interface ClusterMap {
  readonly wire: Wire
  readonly clock: Clock
  /** A topic as known; asked for if it is not. Rejects where it does not exist. */
  topic(name: string): Promise<TopicView>
  /** Whether somebody knows it; patient. */
  exists(name: string): Promise<boolean>
  /** Forgets and asks again; of all topics where none is named. */
  refresh(names?: readonly string[]): Promise<readonly TopicView[]>
  /** Node of a partition's leader. */
  leader(topic: string, partition: number): Promise<number>
  coordinator(of: 'group' | 'transaction', id: string): Promise<number>
  controller(): Promise<number>
  anyNode(): Promise<number>
  /**
   * Tries work again for some seconds while its faults pass by themselves, asking anew who is in charge; once more in any case, however long the first
   * try took. That a topic is not known passes only for those that are named.
   */
  patiently<T>(
    of: { readonly topics?: readonly string[]; readonly coordinator?: string },
    work: () => Promise<T>,
  ): Promise<T>
  /** Forgets what a fault of this topic or coordinator has shown to be wrong. */
  forget(what: { readonly topic?: string | undefined; readonly coordinator?: string | undefined }): void
}

/** How long a topic's partitions are believed without asking again. */
const maxAgeMs = 60_000

/** How long faults that pass are borne. */
const patienceMs = 4_000

/** The map of one set of connections. */
export function clusterMap(wire: Wire, clock: Clock): ClusterMap {
  const topics = new Map<string, { readonly view: TopicView; readonly at: number }>()
  const coordinators = new Map<string, number>()
  const asking = new Map<string, Promise<readonly TopicView[]>>()
  let controller = -1
  let nodes: readonly number[] = []

  const refresh = (names: readonly string[] | undefined): Promise<readonly TopicView[]> => {
    const key = names === undefined ? '' : JSON.stringify(names)
    const under = asking.get(key)
    if (under !== undefined) return under
    const ask = async (): Promise<readonly TopicView[]> => {
      const view = await wire.metadata(names)
      controller = view.controller
      nodes = view.nodes
      for (const topic of view.topics) {
        if (topic.fault === undefined) topics.set(topic.name, { view: topic, at: clock.now() })
        else topics.delete(topic.name)
      }
      return view.topics
    }
    const promise = ask().finally(() => asking.delete(key))
    asking.set(key, promise)
    return promise
  }
  const known = async (name: string): Promise<TopicView> => {
    const held = topics.get(name)
    if (held !== undefined && clock.now() - held.at < maxAgeMs) return held.view
    const [view] = await refresh([name])
    if (view?.fault !== undefined) throw view.fault
    if (view === undefined) throw new Fault('broker', 'UNKNOWN_TOPIC_OR_PARTITION', `topic ${name} does not exist`)
    return view
  }
  const forget: ClusterMap['forget'] = ({ topic, coordinator }) => {
    if (topic !== undefined) topics.delete(topic)
    if (coordinator === undefined) return
    for (const kind of ['group', 'transaction']) coordinators.delete(`${kind} ${coordinator}`)
  }
  const anyNode = async (): Promise<number> => nodes[0] ?? wire.coordinator('group', 'posthorn')
  const patiently: ClusterMap['patiently'] = async (of, work) => {
    const until = clock.now() + patienceMs
    for (let [tries, waitMs] = [1, 20]; ; tries++, waitMs = Math.min(waitMs * 2, 500)) {
      try {
        return await work()
      } catch (error) {
        const fault = faultOf(error)
        if (!passes(fault) || (of.topics === undefined && absent(fault))) throw error
        if (tries > 1 && clock.now() > until) throw error
        for (const topic of of.topics ?? []) forget({ topic })
        forget({ coordinator: of.coordinator })
        await pause(clock, spread(waitMs))
      }
    }
  }
  return {
    wire,
    clock,
    topic: known,
    refresh,
    async exists(name) {
      try {
        await patiently({}, () => known(name))
        return true
      } catch (error) {
        if (absent(faultOf(error))) return false
        throw error
      }
    },
    async leader(topic, partition) {
      const view = await known(topic)
      const leader = view.partitions.find(({ id }) => id === partition)?.leader
      if (leader !== undefined && leader >= 0) return leader
      topics.delete(topic)
      throw new Fault('broker', 'LEADER_NOT_AVAILABLE', `partition ${partition} of ${topic} has no leader`)
    },
    async coordinator(of, id) {
      const held = coordinators.get(`${of} ${id}`)
      if (held !== undefined) return held
      const node = await wire.coordinator(of, id)
      coordinators.set(`${of} ${id}`, node)
      return node
    },
    /** Every broker of a KRaft cluster passes such requests on to the controller. */
    async controller() {
      return controller >= 0 && nodes.includes(controller) ? controller : anyNode()
    },
    anyNode,
    forget,
    patiently,
  }
}
