import type { From } from '@posthorn/core/driver'
import { type Agreement, type Disagreement, difference, recorded } from './agreement.ts'
import { type Assignment, assign, type Membership } from './assignment.ts'
import type { CommittedOffset } from './clients/port.ts'
import type { ClusterMap } from './cluster.ts'
import { absent } from './errors.ts'
import { progressOf } from './progress.ts'
import { startsOf } from './starting.ts'

/** What a member tells the group beside its topics. */
export interface Note {
  /** By topic: where a new group begins. */
  readonly from: Readonly<Record<string, From>>
  /** How the group is read; all members must say the same. */
  readonly agreed: Agreement
  /** What this member knows to exist: a change of it makes the group assign anew. */
  readonly known: string
  /** Of this source alone: who comes back in the place of another, or in its own, is heard anew and told nothing that is over. */
  readonly member: string
  /** Where this member asks the whole group to go on. */
  readonly seek: { readonly id: string; readonly topics: readonly string[]; readonly to: From } | undefined
}

/** What the leader tells each member beside its partitions. */
export interface PlanNote {
  /** `partition/topic` to the offset where a new group begins. */
  readonly starts: Readonly<Record<string, number>>
  /** Where the whole group goes on; each member does it once per id. */
  readonly moves: readonly { readonly id: string; readonly to: Readonly<Record<string, number>> }[]
  /** Why this member gets nothing. */
  readonly refused: Disagreement | undefined
}

type Told = Membership & { readonly member: string }

/** What the leader of a group decides when members come and go. */
export async function planOf(
  cluster: ClusterMap,
  group: string,
  members: readonly Told[],
): Promise<Map<string, Assignment>> {
  const wanted = [...new Set(members.flatMap((each) => each.topics))]
  const views = wanted.length === 0 ? [] : await cluster.refresh(wanted)
  // A topic without a leader is not a topic that is gone: the next try decides.
  const leaderless = views.find(({ fault }) => fault !== undefined && !absent(fault))
  if (leaderless?.fault !== undefined) throw leaderless.fault
  const partitions = new Map(
    views.filter(({ fault }) => fault === undefined).map((view) => [view.name, view.partitions.length]),
  )
  const committed = await committedOf(cluster, group, partitions)
  const starts = await firstStarts(cluster, committed, members, partitions)
  const moves = await movesOf(cluster, members, partitions)
  const refused = new Map<string, Disagreement>()
  for (const each of members) {
    const disagreement = disagreementOf(each, members, committed)
    if (disagreement !== undefined) refused.set(each.member, disagreement)
  }
  const given = assign({
    members: members.filter((each) => !refused.has(each.member)),
    partitions,
    unitOf: (topic) => topic.split('.-.')[0] as string,
  })
  return new Map(
    members.map(({ member }) => {
      const note: PlanNote = { starts, moves, refused: refused.get(member) }
      return [member, { partitions: given.get(member) ?? [], note }]
    }),
  )
}

function noteOfMember({ note }: Membership): Partial<Note> {
  return typeof note === 'object' && note !== null ? note : {}
}

const everyPartition = (topic: string, count: number) =>
  Array.from({ length: count }, (_, partition) => ({ topic, partition }))

async function committedOf(
  cluster: ClusterMap,
  group: string,
  partitions: ReadonlyMap<string, number>,
): Promise<readonly CommittedOffset[]> {
  const all = [...partitions].flatMap(([topic, count]) => everyPartition(topic, count))
  if (all.length === 0) return []
  return cluster.patiently({ coordinator: group }, async () =>
    cluster.wire.committed(await cluster.coordinator('group', group), group, all),
  )
}

/** Where topics begin of which the group has committed nothing. */
async function firstStarts(
  cluster: ClusterMap,
  committed: readonly CommittedOffset[],
  members: readonly Told[],
  partitions: ReadonlyMap<string, number>,
): Promise<Record<string, number>> {
  const starts: Record<string, number> = {}
  const begun = new Set(committed.filter(({ offset }) => offset >= 0).map(({ topic }) => topic))
  for (const [topic, count] of partitions) {
    const from = members.map((each) => noteOfMember(each).from?.[topic]).find((each) => each !== undefined)
    if (begun.has(topic) || from === undefined || from === 'earliest') continue
    const of = everyPartition(topic, count)
    for (const [i, offset] of (await startsOf(cluster, of, from)).entries()) starts[`${i}/${topic}`] = offset
  }
  return starts
}

/** Where members ask the group to go on, as offsets that are the same for everybody. */
async function movesOf(
  cluster: ClusterMap,
  members: readonly Told[],
  partitions: ReadonlyMap<string, number>,
): Promise<PlanNote['moves']> {
  const moves: PlanNote['moves'][number][] = []
  for (const each of members) {
    const { seek } = noteOfMember(each)
    if (seek === undefined) continue
    const to: Record<string, number> = {}
    for (const topic of seek.topics) {
      const of = everyPartition(topic, partitions.get(topic) ?? 0)
      for (const [i, offset] of (await startsOf(cluster, of, seek.to)).entries()) to[`${i}/${topic}`] = offset
    }
    moves.push({ id: seek.id, to })
  }
  return moves
}

/** What the group has kept with its offsets of one of these topics. */
function recordedOf(committed: readonly CommittedOffset[], topics: readonly string[]): Agreement | undefined {
  for (const each of committed) {
    const found = topics.includes(each.topic) ? recorded(progressOf(each).agreed) : undefined
    if (found !== undefined) return found
  }
  return undefined
}

/** What a member says otherwise than what is on record, or, where nothing is, than who was there before it. */
function disagreementOf(
  one: Told,
  members: readonly Told[],
  committed: readonly CommittedOffset[],
): Disagreement | undefined {
  const older = members.find(
    (each) =>
      each !== one &&
      one.owned.length === 0 &&
      (each.owned.length > 0 || each.member < one.member) &&
      each.topics.some((topic) => one.topics.includes(topic)),
  )
  const mine = noteOfMember(one).agreed
  const theirs = recordedOf(committed, one.topics) ?? (older === undefined ? undefined : noteOfMember(older).agreed)
  return mine === undefined || theirs === undefined ? undefined : difference(theirs, mine)
}
