import type { Fate } from './fates.ts'
import { never } from './fates.ts'
import type { Find } from './findings.ts'

/**
 * First effects of one key in one group must come in the order of sending. Left out are messages that no order is claimed for: those
 * with a due time, dead letters (the key goes on without them), and a send whose outcome was `unknown`, which may still arrive after a
 * later one.
 */
export function judgeOrder(
  fates: Iterable<Fate>,
  groups: readonly string[],
  ordered: readonly string[] | undefined,
  find: Find,
): void {
  const lanes = new Map<string, Fate[]>()
  for (const fate of fates) {
    const { intent } = fate
    if (intent?.key === undefined || intent.seq === undefined || fate.due !== undefined || fate.lettered < never)
      continue
    const name = `${fate.writer}\0${intent.topic}\0${intent.key}`
    const lane = lanes.get(name)
    if (lane === undefined) lanes.set(name, [fate])
    else lane.push(fate)
  }
  for (const lane of lanes.values())
    for (const [number, group] of groups.entries())
      if (ordered === undefined || ordered.includes(group)) judgeLane(lane, number, group, find)
}

function judgeLane(lane: readonly Fate[], number: number, group: string, find: Find): void {
  const seen = lane.filter((fate) => {
    const there = fate.groups[number]
    return there !== undefined && there.effects > 0 && there.lettered === never
  })
  const effectOf = (fate: Fate): number => fate.groups[number]?.firstEffect ?? never
  seen.sort((a, b) => effectOf(a) - effectOf(b))
  let ahead: Fate | undefined
  for (const fate of seen) {
    const seq = fate.intent?.seq ?? 0
    const top = ahead?.intent?.seq ?? Number.NEGATIVE_INFINITY
    if (seq > top) ahead = fate
    else if (seq < top && !fate.unknown)
      find(
        'order',
        fate.id,
        () => `number ${seq} of key ${fate.intent?.key} came after ${top} (${ahead?.id}) in group ${group}`,
      )
  }
}
