import type { Socket } from 'node:net'
import { type Link, link, type Route } from './link.ts'
import type { Armed, Trigger } from './trigger.ts'
import type { CutKind, Direction, ProxyCounts } from './weather.ts'

/** All connections of a proxy, and the cuts that wait for them. */
export interface Traffic {
  accept(socket: Socket): void
  /** Answers how many were open. */
  cut(kind: CutKind): number
  arm(armed: Armed): Promise<boolean>
  disarm(): void
  /** The weather changed. */
  refresh(): void
  /** Ends all and resolves when nothing is left. */
  destroy(): Promise<void>
}

/** Counts as it goes and calls `changed` after each count. */
export function traffic(route: Route, counts: ProxyCounts, changed: () => void): Traffic {
  const links = new Set<Link>()
  const triggers = new Set<Trigger>()
  /** Whose limit is reached while the last bytes before the cut are being written. */
  const spent = new Map<Link, Trigger>()

  const limit = (each: Link, direction: Direction, chunk: Buffer): number | undefined => {
    for (const trigger of triggers) {
      const bytes = trigger.limit(each, direction, chunk)
      if (bytes === undefined) continue
      triggers.delete(trigger)
      spent.set(each, trigger)
      return bytes
    }
    return undefined
  }
  const cutOne = (each: Link, kind: CutKind): void => {
    if (each.cut(kind)) counts.cut++
  }
  return {
    accept(socket) {
      counts.accepted++
      counts.open++
      const made = link(socket, route, {
        limit,
        spent(each) {
          const trigger = spent.get(each)
          spent.delete(each)
          cutOne(each, trigger?.kind ?? 'reset')
          trigger?.settle(true)
          changed()
        },
        passed(direction, bytes) {
          counts[direction].passed += bytes
          changed()
        },
        swallowed(direction, bytes) {
          counts[direction].swallowed += bytes
          changed()
        },
        unreached: () => void counts.unreached++,
        over(each) {
          links.delete(each)
          counts.open--
          changed()
        },
      })
      links.add(made)
      changed()
    },
    cut(kind) {
      const before = counts.cut
      for (const each of links) cutOne(each, kind)
      return counts.cut - before
    },
    arm({ trigger, fired }) {
      triggers.add(trigger)
      return fired
    },
    disarm() {
      for (const trigger of triggers) trigger.settle(false)
      triggers.clear()
    },
    refresh() {
      for (const each of links) each.refresh()
    },
    destroy: async () => void (await Promise.all([...links].map((each) => each.destroy()))),
  }
}
