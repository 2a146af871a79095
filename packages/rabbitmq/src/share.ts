import { partitionOf } from '@posthorn/core/driver'

/**
 * Which lanes a member holds, the same for all who know of the same members: nobody holds more than one more than another, and
 * who joins or leaves moves few lanes besides its own.
 */
export function shareOf(member: string, members: readonly string[], lanes: number): ReadonlySet<number> {
  const all = [...new Set([...members, member])].sort()
  const owners = new Array<string | undefined>(lanes).fill(undefined)
  const held = new Map(all.map((each) => [each, 0]))
  const pairs = all.flatMap((each) =>
    owners.map((_, lane) => ({ each, lane, weight: partitionOf(`${lane} ${each}`, 0xffff_ffff) })),
  )
  pairs.sort((a, b) => b.weight - a.weight || a.lane - b.lane)
  // First everybody gets what all can have, then some one more.
  for (const most of [Math.floor(lanes / all.length), Math.ceil(lanes / all.length)]) {
    for (const { each, lane } of pairs) {
      const count = held.get(each) as number
      if (owners[lane] !== undefined || count >= most) continue
      owners[lane] = each
      held.set(each, count + 1)
    }
  }
  return new Set(owners.flatMap((owner, lane) => (owner === member ? [lane] : [])))
}
