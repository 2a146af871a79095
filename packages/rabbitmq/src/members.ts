import type { Clock } from '@posthorn/core/driver'
import type { Channel, ConsumeMessage } from 'amqplib'

/** Who is in a group, as far as they have said so lately. */
export interface Members {
  readonly others: readonly string[]
  /** Says good-bye. */
  close(): void
}

export interface MembersOptions {
  readonly channel: Channel
  readonly clock: Clock
  /** Fanout exchange of the group. */
  readonly exchange: string
  readonly self: string
  /** Publishes without waiting; on another connection, for the broker stops reading from one that publishes when it is short of memory. */
  say(word: Word): void
  /** Somebody came or went. */
  changed(): void
}

/** `hello`: answer me. `here`: I am still there. `bye`: I am going. */
export type Word = 'hello' | 'here' | 'bye'

const beatMs = 2_000
/** Silent for this long: gone. Its lanes move before a dead connection would be noticed. */
const goneMs = 7_000
/** How long who is there has to answer our greeting. */
const answerMs = 60
const echoMs = 1_000

/** Joins a group: resolves when those who are there had time to say so. */
export async function joinMembers({ channel, clock, exchange, self, say, changed }: MembersOptions): Promise<Members> {
  const lastHeard = new Map<string, number>()
  let others: readonly string[] = []
  let over = false
  let heardOurselves = (): void => {}
  const echo = new Promise<void>((resolve) => {
    heardOurselves = resolve
  })
  const refresh = (): void => {
    const now = clock.now()
    for (const [member, at] of lastHeard) if (now - at > goneMs) lastHeard.delete(member)
    const all = [...lastHeard.keys()].sort()
    if (all.join() === others.join()) return
    others = all
    if (!over) changed()
  }
  const hear = (message: ConsumeMessage | null): void => {
    if (message === null || over) return
    const { messageId: member, type: word } = message.properties
    if (typeof member !== 'string') return
    if (member === self) {
      heardOurselves()
      return
    }
    if (word === 'bye') lastHeard.delete(member)
    else lastHeard.set(member, clock.now())
    if (word === 'hello') say('here')
    refresh()
  }
  const { queue } = await channel.assertQueue('', {
    exclusive: true,
    durable: false,
    autoDelete: true,
    arguments: { 'x-max-length': 1_000, 'x-message-ttl': goneMs },
  })
  await channel.bindQueue(queue, exchange, '')
  await channel.consume(queue, hear, { noAck: true })
  say('hello')
  await Promise.race([echo, passed(clock, echoMs)])
  await passed(clock, answerMs)
  let cancel = (): void => {}
  const beat = (): void => {
    if (over) return
    say('here')
    refresh()
    cancel = clock.after(beatMs, beat, { unref: true })
  }
  cancel = clock.after(beatMs, beat, { unref: true })
  return {
    get others() {
      return others
    },
    close() {
      if (over) return
      over = true
      cancel()
      say('bye')
    },
  }
}

const passed = (clock: Clock, ms: number): Promise<void> => new Promise((resolve) => void clock.after(ms, resolve))
