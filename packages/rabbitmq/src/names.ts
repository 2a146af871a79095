import { MessagingError } from '@posthorn/core/driver'

/** Longest name and routing key of AMQP 0-9-1, in bytes. */
const longest = 255

/** Characters that part the pieces of our names, so that a topic or group that has them cannot look like another. */
const special = /[%@:~]/g
const escapeName = (text: string): string =>
  text.replace(special, (each) => `%${each.charCodeAt(0).toString(16).toUpperCase()}`)
const unescapeName = (text: string): string =>
  text.replace(/%(25|40|3A|7E|2E)/g, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)))

/** The names of everything that the adapter has on the broker. docs/brokers/rabbitmq.md lists them. */
export interface Names {
  /** Where messages of a topic are published to, by lane: direct. */
  topic(topic: string): string
  /** Of a topic, where messages arrive whose delay is over: topic. */
  late(topic: string): string
  /** Records what the members of a topic agree on. */
  agreed(topic: string, group?: string): string
  /** The queue of a group without order; also of a broadcast reader. `topic` may be a pattern. */
  queue(topic: string, group: string): string
  /** The queue of one lane of an ordered group. */
  lane(topic: string, group: string, lane: number): string
  /** Where the members of an ordered group tell each other that they are there: fanout. */
  members(topic: string, group: string): string
  /** The stream in which starts alone of an ordered group are noted. */
  marks(topic: string, group: string): string
  /** The queue of dead letters of a topic and a group; of no group it is one per namespace. */
  shelf(topic: string, group: string | undefined): string
  /** Feeds readers that do not count as a group: patterns, broadcast. Only there where somebody has read so. */
  readonly all: string
  /** Exchange, and a queue once somebody reads so: what is sent to it tells by coming back that nobody does. */
  readonly readers: string
  /** Says that all topics that were there before the first reader are linked to `all`. */
  readonly linked: string
  /** Where the delay ladder ends. */
  readonly delivery: string
  /** The queue in which every topic and group is written down before it is made. */
  readonly book: string
  /** Exchange and queue of what no group was there for. */
  readonly unroutable: string
  /** Exchange and queue of one level of the delay ladder. */
  level(level: number): string
  /** A queue that a message names as its topic without being one: a reply address of ours, or anybody's queue. */
  address(topic: string): string
  /** The reverse of `address`. */
  topicOfAddress(queue: string): string
  /** Routing key of a message to a topic. */
  key(topic: string, lane: number | '*'): string
  /** Routing key of a message to one group of it. */
  groupKey(topic: string, group: string, lane: number | '*'): string
  /** What topic a routing key of ours names. */
  topicOfKey(key: string): string | undefined
}

/** Names within a namespace; '' is none. */
export function namesIn(namespace: string): Names {
  const prefix = namespace === '' ? '' : `${namespace}:`
  const bounded = (name: string): string => {
    if (name.length * 3 > longest && Buffer.byteLength(name) > longest)
      throw new MessagingError(
        'invalid',
        `RabbitMQ allows ${longest} bytes for a name, and ${name.slice(0, 60)}... has ${Buffer.byteLength(name)}; shorten the topic, the group or the namespace`,
      )
    return name
  }
  const of = (topic: string, rest = ''): string => bounded(`${prefix}${escapeName(topic)}${rest}`)
  return {
    topic: (topic) => of(topic),
    late: (topic) => of(topic, '~late'),
    agreed: (topic, group) => of(topic, group === undefined ? '~agreed' : `@${escapeName(group)}~agreed`),
    queue: (topic, group) => of(topic, `@${escapeName(group)}`),
    lane: (topic, group, lane) => of(topic, `@${escapeName(group)}~${lane}`),
    members: (topic, group) => of(topic, `@${escapeName(group)}~members`),
    marks: (topic, group) => of(topic, `@${escapeName(group)}~marks`),
    shelf: (topic, group) => (group === undefined ? `${prefix}~unroutable` : of(topic, `@${escapeName(group)}~dead`)),
    all: `${prefix}~all`,
    readers: `${prefix}~readers`,
    linked: `${prefix}~all~linked`,
    delivery: `${prefix}~delivery`,
    book: `${prefix}~topics`,
    unroutable: `${prefix}~unroutable`,
    level: (level) => `${prefix}~delay.${level}`,
    address: (topic) => (topic.startsWith('~') ? `${prefix}${topic}` : topic),
    topicOfAddress: (queue) => (queue.startsWith(`${prefix}~`) ? queue.slice(prefix.length) : queue),
    key: (topic, lane) => bounded(`${lane}.${escapeName(topic)}`),
    groupKey: (topic, group, lane) =>
      bounded(`${lane}.@${escapeName(group).replaceAll('.', '%2E')}.${escapeName(topic)}`),
    topicOfKey(key) {
      const match = /^\d+\.(?:@[^.]*\.)?(.+)$/s.exec(key)
      return match === null ? undefined : unescapeName(match[1] as string)
    },
  }
}
