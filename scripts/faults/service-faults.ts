// What goes wrong around a service, whatever its broker is; the broker's own faults stand in its own file.
import { setTimeout as sleep } from 'node:timers/promises'
import type { FaultProxy } from '../../packages/testkit/src/proxy/proxy.ts'
import { continueNode, freezeNode, killNode, startNode } from '../brokers/lifecycle.ts'
import type { Crew, Place } from './service-crew.ts'

/** Between senders and the broker, and between groups and the broker; one for both where the broker's addresses leave no choice. */
export interface Wires {
  readonly sending: FaultProxy
  readonly consuming: FaultProxy
}

/** What a fault may lay hands on. */
export interface FaultStage {
  /** Of this run; what others left on the broker is not its business. */
  readonly namespace: string
  readonly crew: Crew
  readonly wires: Wires | undefined
  /** From 0 to 1, the same for the same seed. */
  readonly random: () => number
}

/** Something that goes wrong, and is over when it resolves. */
export interface Fault {
  readonly name: string
  run(stage: FaultStage): Promise<void>
}

/** Longer than this and the broker, or we, take a silent peer for dead. */
export interface Patience {
  /** Of the connection: heartbeats, request time-outs. */
  readonly silentMs: number
  /** Of the lease on deliveries, if there is one. */
  readonly leaseMs: number
}

function wiresOf({ wires }: FaultStage): Wires {
  if (wires === undefined) throw new Error('this service reaches its broker without a network')
  return wires
}

const one = (places: readonly Place[], random: () => number): Place =>
  places[Math.floor(random() * places.length)] as Place

/** Starts a node again; its ports may be taken for a moment yet. */
export async function restarted(broker: string, node?: string): Promise<void> {
  for (const end = performance.now() + 30_000; ; await sleep(250)) {
    try {
      return await startNode(broker, node)
    } catch (error) {
      if (performance.now() > end) throw error
    }
  }
}

/** A node is killed (SIGKILL) and started again. */
export const killed = (broker: string, node?: string): Fault => ({
  name: `broker killed${node === undefined ? '' : `: ${node}`}`,
  async run() {
    await killNode(broker, node)
    await restarted(broker, node)
  },
})

/** A consumer that is killed in a handler, and comes again. */
export const consumerKilled: Fault = {
  name: 'consumer killed in a handler',
  async run({ crew, random }) {
    const place = one(crew.of('billing'), random)
    place.tell({ say: 'die' })
    await place.gone(20_000)
    await place.replace()
  },
}

/** All connections of the senders are reset, with sends under way. */
export const resetSending: Fault = {
  name: 'reset while sending',
  async run(stage) {
    const { sending } = wiresOf(stage)
    // Behind the next answers, so that some of them are lost.
    const fired = sending.cutAfter('down', 1 + Math.floor(stage.random() * 300))
    await Promise.race([fired, sleep(1_000)])
    sending.cut()
  },
}

/** All connections of the groups are reset, with deliveries in hand. */
export const resetConsuming: Fault = {
  name: 'reset while consuming',
  async run(stage) {
    wiresOf(stage).consuming.cut()
  },
}

/** What goes wrong in the service's own processes, whether or not there is a network. */
export function processFaults(leaseMs: number): readonly Fault[] {
  return [
    consumerKilled,
    {
      name: 'event loop blocked',
      async run({ crew, random }) {
        one(crew.of('billing'), random).tell({ say: 'block', ms: leaseMs })
        await sleep(leaseMs)
      },
    },
    {
      name: 'membership changes every 3 s',
      async run({ crew }) {
        const guests: Place[] = []
        for (let change = 0; change < 4; change++) {
          if (change % 2 === 0) guests.push(await crew.join('billing'))
          else await guests.pop()?.leave()
          await sleep(3_000)
        }
      },
    },
    {
      name: 'SIGTERM under load',
      async run({ crew, random }) {
        const leaving = [one(crew.of('billing'), random), one(crew.of('audit'), random), one(crew.of('send'), random)]
        await Promise.all(leaving.map((each) => each.leave()))
        await Promise.all(leaving.map((each) => each.replace()))
      },
    },
  ]
}

/** The faults that every broker on a network has. */
export function usualFaults(broker: string, { silentMs, leaseMs }: Patience): readonly Fault[] {
  return [
    resetSending,
    resetConsuming,
    {
      name: 'black hole',
      async run(stage) {
        const { sending, consuming } = wiresOf(stage)
        for (const proxy of new Set([sending, consuming])) proxy.blackHole()
        await sleep(silentMs)
        for (const proxy of new Set([sending, consuming])) await proxy.restore()
      },
    },
    killed(broker),
    {
      name: 'broker frozen for 15 s',
      async run() {
        freezeNode(broker)
        await sleep(15_000)
        continueNode(broker)
      },
    },
    ...processFaults(leaseMs),
  ]
}
