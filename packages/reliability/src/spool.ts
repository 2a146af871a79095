// Which keys have something in the spool: what is sent of them must follow it.
import type { ClaimedRow, Clock, Held } from '@posthorn/core/driver'

/** How often is looked whether others have emptied the spool of a key, since any process relays; and how soon a store that was away at start is asked again. */
const lookMs = 5_000
/** Keys that one look asks for. */
const most = 200

/** What lies in the spool for one key, as far as this process knows. */
interface Lane {
  readonly refs: Set<string>
  /** Rows that are on their way into the store. */
  going: number
  /** Rises with each row, so that who has waited for an answer of the store knows whether it still counts. */
  came: number
}

type Row = Pick<ClaimedRow, 'ref' | 'lane'>

/** The book of one process, filled from the store at start. */
export function spoolBook(held: Held, clock: Clock) {
  const lanes = new Map<string, Lane>()
  /** Whether the store has told what lay there at start; until then each key may have something. */
  let known = false
  // Not undefined while a look is under way: it sets the next itself.
  let cancel: (() => void) | undefined = () => {}
  let closed = false

  function note({ ref, lane }: Row): Lane | undefined {
    if (lane === undefined || !lane.startsWith('s:')) return undefined
    const found = lanes.get(lane) ?? { refs: new Set(), going: 0, came: 0 }
    lanes.set(lane, found)
    found.refs.add(ref)
    found.came++
    if (!closed) cancel ??= clock.after(lookMs, look, { unref: true })
    return found
  }
  async function load(): Promise<void> {
    for (let after: string | undefined; ; ) {
      const rows = await held.range({ state: 'ready', after, max: 1_000 })
      for (const row of rows) note(row)
      after = rows.at(-1)?.ref
      if (rows.length < 1_000) break
    }
    known = true
  }
  async function emptied(): Promise<void> {
    for (const [name, lane] of [...lanes].slice(0, most)) {
      // Asked again after all others.
      lanes.delete(name)
      lanes.set(name, lane)
      if (lane.going > 0) continue
      const { came } = lane
      const rows = await held.range({ state: 'ready', lane: name, max: 1 })
      if (rows.length === 0 && lane.came === came && lanes.get(name) === lane) lanes.delete(name)
    }
  }
  function look(): void {
    const asked = known ? emptied() : load()
    asked
      // A store that is away is asked again.
      .catch(() => {})
      .finally(() => {
        cancel = (known && lanes.size === 0) || closed ? undefined : clock.after(lookMs, look, { unref: true })
      })
  }
  look()
  return {
    /** Puts these away. From before it begins their keys count as spooled: whether a call that failed put a row there, a look will tell. */
    async put(rows: readonly Row[], insert: () => Promise<void>): Promise<void> {
      const on = rows.map(note)
      for (const lane of on) if (lane !== undefined) lane.going++
      try {
        await insert()
      } finally {
        for (const lane of on) if (lane !== undefined) lane.going--
      }
    },
    /** This process has relayed it. */
    left({ ref, lane }: Row): void {
      const found = lane === undefined ? undefined : lanes.get(lane)
      if (found?.refs.delete(ref) === true && found.refs.size === 0) lanes.delete(lane as string)
    },
    /** Whether something of it lies there, or may. */
    has: (lane: string): boolean => !known || lanes.has(lane),
    close(): void {
      closed = true
      cancel?.()
    },
  }
}
