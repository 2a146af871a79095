// What a run with all patterns on has come to: the notes of its processes against the effects in the file.
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { DatabaseSync } from 'node:sqlite'

/** What must be 0. */
export interface PatternFaults {
  /** Acknowledged, and no effect. */
  readonly lost: number
  /** Two effects of one id. */
  readonly twice: number
  readonly early: number
  /** Delivered although somebody was told `cancelled`. */
  readonly cancelledDelivered: number
  readonly rolledBackVisible: number
  readonly committedMissing: number
  readonly letters: number
  readonly undrained: number
}

/** Whether everything held. */
export function isClean(faults: PatternFaults): boolean {
  return Object.values(faults).every((count) => count === 0)
}

/** Counts faults, and what the run was made of. */
export function judged(
  folder: string,
  own: DatabaseSync,
  seen: { readonly killed: number; readonly undrained: number; readonly letters: number },
): { readonly faults: PatternFaults; readonly counts: Readonly<Record<string, number>> } {
  const effects = new Map<string, { count: number; readonly at: number }>()
  for (const { id, t } of own.prepare('SELECT id, t FROM app_effects ORDER BY no').all()) {
    const found = effects.get(String(id))
    if (found === undefined) effects.set(String(id), { count: 1, at: Number(t) })
    else found.count++
  }
  const said = notes(folder)
  const has = (id: string): boolean => effects.has(id)
  const cancelled = said('cancelled')
  // A cancel whose asker was killed before the answer may have happened.
  const gone = new Set([...cancelled, ...said('cancel').filter((id) => !has(id))])
  const committed = new Set(
    own
      .prepare('SELECT id FROM app_paid')
      .all()
      .map(({ id }) => String(id)),
  )
  const halves = [...effects.keys()].filter((id) => id.startsWith('h-'))
  const scheduled = said('scheduled')
  return {
    faults: {
      lost: [...said('sent'), ...scheduled].filter((id) => !has(id) && !gone.has(id)).length,
      twice: [...effects.values()].filter(({ count }) => count > 1).length,
      early: [...effects].filter(([id, { at }]) => id.startsWith('s-') && at < Number(id.split('-').at(-1))).length,
      cancelledDelivered: cancelled.filter(has).length,
      rolledBackVisible: halves.filter((id) => !committed.has(id)).length,
      committedMissing: [...committed].filter((id) => !has(id)).length,
      letters: seen.letters,
      undrained: seen.undrained,
    },
    counts: {
      killed: seen.killed,
      ids: new Set(said('sent')).size,
      effects: effects.size,
      schedules: scheduled.length,
      cancelled: cancelled.length,
      tooLate: said('too-late').length,
      halvesCommitted: said('committed').length,
      halvesRolledBack: said('rolledback').length,
      halvesVanished: said('vanished').length,
    },
  }
}

/** What the members wrote down, by its first word. */
function notes(folder: string): (word: string) => readonly string[] {
  const all = new Map<string, string[]>()
  for (const each of readdirSync(folder).filter((name) => name.endsWith('.log')))
    for (const line of readFileSync(join(folder, each), 'utf8').split('\n')) {
      const [word = '', id = ''] = line.split(' ')
      const list = all.get(word)
      if (list === undefined) all.set(word, [id])
      else list.push(id)
    }
  return (word) => all.get(word) ?? []
}
