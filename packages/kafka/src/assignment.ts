// Who of a group reads which partition. Members keep what they have: only what must move is taken away, and given on when it has been let go.
import type { Partition } from './clients/port.ts'

/** Name of our way to assign, agreed on by all members of a group. */
export const protocolName = 'posthorn-cooperative'

/** What a member tells when it joins. `note` is ours, JSON. */
export interface Membership {
  readonly topics: readonly string[]
  readonly owned: readonly Partition[]
  readonly note: unknown
}
/** What a member is told. */
export interface Assignment {
  readonly partitions: readonly Partition[]
  readonly note: unknown
}

/** As Kafka's own consumers write it (version 1), so that its tools can show it. */
export function encodeMembership({ topics, owned, note }: Membership): Uint8Array {
  return Buffer.concat([
    int16(1),
    array(topics, string),
    bytes(JSON.stringify(note)),
    array([...grouped(owned)], ([topic, partitions]) => Buffer.concat([string(topic), array(partitions, int32)])),
  ])
}

/** Reads what another member told; what is not ours counts as nothing owned. */
export function decodeMembership(data: Uint8Array): Membership {
  const read = reader(data)
  const version = read.int16()
  const topics = read.array(read.string)
  const note = json(read.bytes())
  const owned = version < 1 ? [] : read.array(() => ({ topic: read.string(), partitions: read.array(read.int32) }))
  return { topics, note, owned: flat(owned) }
}

/** As Kafka's own consumers write it. */
export function encodeAssignment({ partitions, note }: Assignment): Uint8Array {
  return Buffer.concat([
    int16(0),
    array([...grouped(partitions)], ([topic, list]) => Buffer.concat([string(topic), array(list, int32)])),
    bytes(JSON.stringify(note ?? null)),
  ])
}

/** Reads what the leader decided. */
export function decodeAssignment(data: Uint8Array): Assignment {
  if (data.length === 0) return { partitions: [], note: undefined }
  const read = reader(data)
  read.int16()
  const partitions = read.array(() => ({ topic: read.string(), partitions: read.array(read.int32) }))
  return { partitions: flat(partitions), note: json(read.bytes()) }
}

/** What the leader decides upon. */
export interface AssignmentInput {
  readonly members: readonly {
    readonly member: string
    readonly topics: readonly string[]
    readonly owned: readonly Partition[]
  }[]
  /** How many partitions each topic has; topics that are missing do not exist. */
  readonly partitions: ReadonlyMap<string, number>
  /** Topics of one unit keep equal partitions with one member: a topic and its retry topics. */
  readonly unitOf: (topic: string) => string
}

/**
 * The partitions of each member. Balanced per unit to within one, members keep what they have as far as balance allows, and nobody is
 * given what another still holds: it goes to its next reader in the round after it was let go.
 */
export function assign({ members, partitions, unitOf }: AssignmentInput): Map<string, Partition[]> {
  const given = new Map<string, Partition[]>(members.map(({ member }) => [member, []]))
  const owners = ownersOf(members)
  const order = members.map(({ member }) => member).sort()
  const units = new Map<string, string[]>()
  for (const topic of [...partitions.keys()].sort()) {
    const unit = unitOf(topic)
    units.set(unit, [...(units.get(unit) ?? []), topic])
  }
  for (const topics of units.values()) {
    const eligible = order.filter((member) =>
      members.some((each) => each.member === member && topics.some((topic) => each.topics.includes(topic))),
    )
    if (eligible.length === 0) continue
    const most = Math.max(...topics.map((topic) => partitions.get(topic) ?? 0))
    const current = Array.from({ length: most }, (_, partition) =>
      topics
        .map((topic) => owners.get(`${partition}/${topic}`))
        .find((owner) => owner !== undefined && owner !== contested),
    )
    const target = balance(current, eligible, given)
    for (let partition = 0; partition < most; partition++) {
      const to = target[partition] as string
      const present = topics.filter((topic) => partition < (partitions.get(topic) ?? 0))
      const held = present.some((topic) => {
        const owner = owners.get(`${partition}/${topic}`)
        return owner !== undefined && owner !== to
      })
      for (const topic of present) {
        const owner = owners.get(`${partition}/${topic}`)
        if (owner === to || (owner === undefined && !held)) given.get(to)?.push({ topic, partition })
      }
    }
  }
  return given
}

const contested = Symbol('claimed by two')

function ownersOf(members: AssignmentInput['members']): Map<string, string | typeof contested> {
  const owners = new Map<string, string | typeof contested>()
  for (const { member, owned } of members)
    for (const { topic, partition } of owned) {
      const key = `${partition}/${topic}`
      owners.set(key, owners.has(key) ? contested : member)
    }
  return owners
}

/** Who shall have each partition: equal shares, those who have it first, the emptiest member next. */
function balance(
  current: readonly (string | typeof contested | undefined)[],
  eligible: readonly string[],
  given: ReadonlyMap<string, readonly Partition[]>,
): string[] {
  const share = Math.floor(current.length / eligible.length)
  let extra = current.length % eligible.length
  const counts = new Map(eligible.map((member) => [member, 0]))
  const target: (string | undefined)[] = current.map(() => undefined)
  const keep = (limit: number): void => {
    for (const [partition, owner] of current.entries()) {
      if (target[partition] !== undefined || typeof owner !== 'string') continue
      const count = counts.get(owner)
      if (count === undefined || count >= limit || (limit > share && (extra === 0 || count < share))) continue
      counts.set(owner, count + 1)
      target[partition] = owner
      if (limit > share) extra--
    }
  }
  keep(share)
  keep(share + 1)
  const load = (member: string): number => (counts.get(member) ?? 0) * 1_000_000 + (given.get(member)?.length ?? 0)
  return target.map((owner) => {
    if (owner !== undefined) return owner
    const least = eligible.reduce((best, member) => (load(member) < load(best) ? member : best))
    counts.set(least, (counts.get(least) ?? 0) + 1)
    return least
  })
}

function grouped(partitions: readonly Partition[]): Map<string, number[]> {
  const topics = new Map<string, number[]>()
  for (const { topic, partition } of partitions) topics.set(topic, [...(topics.get(topic) ?? []), partition])
  return topics
}
function flat(topics: readonly { readonly topic: string; readonly partitions: readonly number[] }[]): Partition[] {
  return topics.flatMap(({ topic, partitions }) => partitions.map((partition) => ({ topic, partition })))
}

function int16(value: number): Buffer {
  const out = Buffer.alloc(2)
  out.writeInt16BE(value)
  return out
}
function int32(value: number): Buffer {
  const out = Buffer.alloc(4)
  out.writeInt32BE(value)
  return out
}
function string(value: string): Buffer {
  const data = Buffer.from(value, 'utf8')
  return Buffer.concat([int16(data.length), data])
}
function bytes(value: string): Buffer {
  const data = Buffer.from(value, 'utf8')
  return Buffer.concat([int32(data.length), data])
}
function array<T>(items: readonly T[], encode: (item: T) => Buffer): Buffer {
  return Buffer.concat([int32(items.length), ...items.map(encode)])
}

function reader(data: Uint8Array) {
  const buffer = Buffer.from(data.buffer, data.byteOffset, data.byteLength)
  let at = 0
  const int32 = (): number => {
    at += 4
    return buffer.readInt32BE(at - 4)
  }
  const int16 = (): number => {
    at += 2
    return buffer.readInt16BE(at - 2)
  }
  const slice = (length: number): Buffer => {
    at += Math.max(length, 0)
    return buffer.subarray(at - Math.max(length, 0), at)
  }
  return {
    int16,
    int32,
    string: (): string => slice(int16()).toString('utf8'),
    bytes: (): Buffer => (at >= buffer.length ? Buffer.alloc(0) : slice(int32())),
    array: <T>(item: () => T): T[] => (at >= buffer.length ? [] : Array.from({ length: Math.max(int32(), 0) }, item)),
  }
}

function json(data: Buffer): unknown {
  try {
    return JSON.parse(data.toString('utf8'))
  } catch {
    return undefined
  }
}
