import type { Link } from './link.ts'
import type { CutKind, Direction } from './weather.ts'

/** A cut that waits for its byte. */
export interface Trigger {
  readonly kind: CutKind
  /** Sees each chunk before it goes by; a number: the cut comes after so many bytes of it. */
  limit(link: Link, direction: Direction, chunk: Buffer): number | undefined
  /** Whether it cut; false: the proxy was restored or closed before. */
  settle(fired: boolean): void
}

/** A trigger and the promise of its outcome. */
export interface Armed {
  readonly trigger: Trigger
  readonly fired: Promise<boolean>
}

/** Cuts the first connection on which `bytes` more have gone by in that direction. */
export function afterBytes(direction: Direction, bytes: number, kind: CutKind): Armed {
  const gone = new WeakMap<Link, number>()
  return armed(kind, (link, way, chunk) => {
    if (way !== direction) return undefined
    const before = gone.get(link) ?? 0
    gone.set(link, before + chunk.length)
    return before + chunk.length >= bytes ? Math.max(0, bytes - before) : undefined
  })
}

/** Cuts the first connection that gets an answer after it asked something; the answer is lost. */
export function beforeAnswer(when: (chunk: Buffer) => boolean, kind: CutKind): Armed {
  const asked = new WeakSet<Link>()
  return armed(kind, (link, way, chunk) => {
    if (way === 'up') asked.add(link)
    else if (asked.has(link) && when(chunk)) return 0
    return undefined
  })
}

function armed(kind: CutKind, limit: Trigger['limit']): Armed {
  let settle: (fired: boolean) => void = () => {}
  const fired = new Promise<boolean>((resolve) => {
    settle = resolve
  })
  return { trigger: { kind, limit, settle: (value) => settle(value) }, fired }
}
