import type { Arrival, Clock } from '@posthorn/core/driver'
import { outlook } from './due.ts'
import { closed } from './errors.ts'
import { type Member, take } from './member.ts'
import { nameOf } from './topology.ts'

/** Longest wait without a look: a timer stands still while the machine sleeps, and what falls due does not. */
const longestMs = 15_000

/** Waits for 1 to `max` deliveries: looks (which takes no lock), takes, or sleeps until it is called or something falls due. */
export async function receive(member: Member, max: number, signal: AbortSignal): Promise<readonly Arrival[]> {
  const { hub, call } = member
  if (!member.over && !signal.aborted && member.kept.length > 0) {
    const got = fromKept(member, max)
    if (got.length > 0) return got
  }
  const unlisten = hub.wake.listen(member)
  signal.addEventListener('abort', call, { once: true })
  try {
    for (;;) {
      if (member.over) throw closed(`the source of ${nameOf(member.subscription.source)}`)
      if (signal.aborted) return []
      member.dirty = false
      member.until = 'awake'
      const { got, at } = await attempt(member, max, signal)
      if (got.length > 0) return got
      if (!member.dirty) await called(member, at)
    }
  } finally {
    member.rouse = undefined
    member.until = 'awake'
    unlisten()
    signal.removeEventListener('abort', call)
  }
}

/** What was taken for a receive that was aborted; of it what is still ours. */
function fromKept(member: Member, max: number): readonly Arrival[] {
  member.kept = member.kept.filter((each) => member.hands.has(each))
  return member.kept.splice(0, max)
}

/** One look, and what it found; else when to look again. */
async function attempt(
  member: Member,
  max: number,
  signal: AbortSignal,
): Promise<{ readonly got: readonly Arrival[]; readonly at: number | undefined }> {
  const { hub, group, clock, hands, window } = member
  if (hands.size >= window) return { got: [], at: undefined }
  const found = await hub.read((sql) => outlook(sql, group.id, clock.now()))
  if (!found.now) return { got: [], at: found.at }
  const got = await take(member, max, signal)
  if (got.length > 0 && !signal.aborted && !member.over) return { got, at: undefined }
  member.kept.push(...got)
  // It may have been filtered away, or be another's by now: look again.
  member.dirty = true
  return { got: [], at: undefined }
}

/** Resolves at the next call, or at a time. */
function called(member: Member, at: number | undefined): Promise<void> {
  const { clock }: { clock: Clock } = member
  return new Promise((resolve) => {
    const ms = at === undefined ? undefined : Math.min(Math.max(0, at - clock.now()), longestMs)
    member.until = at
    const cancel = ms === undefined ? undefined : clock.after(ms, resolve, { unref: true })
    member.rouse = () => {
      cancel?.()
      resolve()
    }
  })
}
