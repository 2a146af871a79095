import type { Item } from './lane.ts'
import type { Progress, Tried } from './progress.ts'

/** What is known of a partition's messages from before, and what is kept of them for whoever comes after. */
export interface History {
  /** Times that an owner began at this offset, this one included, since one ended cleanly. */
  readonly starts: number
  /** Whether the last owner had finished it; told once. */
  finished(offset: number): boolean
  /** What its failed starts left. */
  tried(offset: number): Item['tried']
  try(item: Item, tried: NonNullable<Item['tried']>): void
  /** How often it ran alone and was never settled. */
  loneStarts(item: Item): number
  /** It starts alone. */
  mark(item: Item): void
  /** The start that was marked has ended. */
  unmark(item: Item): void
  /** Nothing of it need be kept any more. */
  settled(item: Item): void
  progress(position: number, ahead: readonly number[], end: 'clean' | undefined, transactional: boolean): Progress
}

/** The history of a partition that is begun where the last owner left it. */
export function history(from: Progress): History {
  const starts = from.starts + 1
  const finishedBefore = new Set(from.ahead)
  const tries = new Map<number, Tried>(from.tries.map((each) => [each.offset, each]))
  let { alone } = from

  /** What the last owner finished and we have not read yet stays finished. */
  const withUnread = (position: number, ahead: readonly number[]): readonly number[] =>
    [...ahead, ...[...finishedBefore].filter((offset) => offset > position)].sort((a, b) => a - b)
  const loneStarts = ({ record }: Item): number => (alone?.offset === record.offset ? alone.starts : 0)
  return {
    starts,
    finished: (offset) => finishedBefore.size > 0 && finishedBefore.delete(offset),
    tried: (offset) => tries.get(offset),
    try(item, tried) {
      item.tried = tried
      tries.set(item.record.offset, { offset: item.record.offset, ...tried })
    },
    loneStarts,
    mark(item) {
      item.marked = true
      alone = { offset: item.record.offset, starts: loneStarts(item) + 1 }
    },
    unmark(item) {
      if (!item.marked) return
      item.marked = false
      if (alone?.offset !== item.record.offset) return
      alone = alone.starts > 1 ? { ...alone, starts: alone.starts - 1 } : undefined
    },
    settled(item) {
      if (alone?.offset === item.record.offset) alone = undefined
      if (item.tried !== undefined) tries.delete(item.record.offset)
    },
    progress(position, ahead, end, transactional) {
      // Whoever comes after a crash finds that we had started here; after a clean end nobody had.
      const begun = position === from.offset ? starts : 1
      return {
        offset: position,
        starts: end === 'clean' ? begun - 1 : begun,
        alone,
        ahead: finishedBefore.size === 0 ? ahead : withUnread(position, ahead),
        tries: [...tries.values()],
        transactional,
        agreed: from.agreed,
      }
    },
  }
}
