import type { Clock, MessagingError } from '@posthorn/core/driver'
import type { Channel } from 'amqplib'
import { joinMembers, type Members, type Word } from './members.ts'
import { shareOf } from './share.ts'
import type { Tap } from './tap.ts'

/** The lanes of an ordered group that this member holds. Each is a queue with a single active consumer: that keeps order, this only spreads. */
export interface Lanes {
  readonly taps: readonly Tap[]
  /** Something of a tap was settled: one that is being handed over may be empty now. */
  settled(tap: Tap): void
  close(): Promise<void>
}

export interface LanesOptions {
  readonly clock: Clock
  readonly queues: readonly string[]
  readonly member: string
  readonly exchange: string
  /** For the presence of the members. */
  readonly channel: Channel
  open(queue: string): Promise<Tap>
  say(word: Word): void
  failed(error: MessagingError): void
}

/** Takes this member's share and keeps to it as members come and go. A lane changes hands when nothing of it is in ours. */
export async function openLanes(options: LanesOptions): Promise<Lanes> {
  const { queues, member, clock } = options
  const taps = new Map<number, Tap>()
  const busy = new Set<number>()
  let over = false
  let members: Members | undefined

  const share = (): ReadonlySet<number> => shareOf(member, members?.others ?? [], queues.length)
  const take = async (lane: number): Promise<void> => {
    busy.add(lane)
    try {
      const tap = await options.open(queues[lane] as string)
      if (over) await tap.close()
      else taps.set(lane, tap)
    } finally {
      busy.delete(lane)
    }
    // Meanwhile somebody may have come.
    const opened = taps.get(lane)
    if (!over && opened !== undefined && !share().has(lane)) release(lane, opened)
  }
  const release = (lane: number, tap: Tap): void => {
    tap.giving = false
    if (tap.handed > 0 || busy.has(lane)) return
    busy.add(lane)
    taps.delete(lane)
    tap.close().then(
      () => {
        busy.delete(lane)
        rearrange()
      },
      () => {},
    )
  }
  const arrange = (): Promise<unknown> => {
    if (over) return Promise.resolve()
    const ours = share()
    const taking: Promise<void>[] = []
    for (const lane of queues.keys()) {
      const tap = taps.get(lane)
      if (tap !== undefined && !(ours.has(lane) && tap.giving)) release(lane, tap)
      else if (tap === undefined && ours.has(lane) && !busy.has(lane)) taking.push(take(lane))
    }
    return Promise.all(taking)
  }
  const rearrange = (): void => {
    // A member that joins hears of several at once; what it takes first it would give back.
    if (members === undefined) return
    arrange().catch((error: MessagingError) => options.failed(error))
  }
  const close = async (): Promise<void> => {
    over = true
    members?.close()
    await Promise.all([...taps.values()].map((tap) => tap.close()))
  }
  members = await joinMembers({
    channel: options.channel,
    clock,
    exchange: options.exchange,
    self: member,
    say: options.say,
    changed: rearrange,
  })
  try {
    await arrange()
  } catch (error) {
    // Lanes that were opened meanwhile would be held by nobody, and so would those of a member that only says it is there.
    await close()
    throw error
  }
  return {
    get taps() {
      return [...taps.values()]
    },
    settled(tap) {
      if (tap.giving || tap.handed > 0) return
      for (const [lane, each] of taps) if (each === tap) release(lane, tap)
    },
    close,
  }
}
