import type { Sample } from '../harness/case.ts'
import { measured } from './measuring.ts'

/** What is sent, one at a time. */
export interface Pace {
  readonly everyMs: number
  readonly count: number
}

/**
 * Sends at a pace that the other side can keep; the middle and the 99th of 100 of the ways from send to handler. One message comes before,
 * and the first tenth is not counted: what starts is not what goes on.
 */
export async function paced(
  { everyMs, count }: Pace,
  send: (id: number) => unknown,
  arrived: (take: (id: number) => void) => Promise<unknown>,
): Promise<Sample> {
  const began = new Float64Array(count)
  const took: number[] = []
  const done = Promise.withResolvers<void>()
  await arrived((id) => {
    if (id >= count) return
    took.push(performance.now() - (began[id] as number))
    if (took.length === count) done.resolve()
  })
  await send(count)
  const sample = await measured(count, async () => {
    const start = performance.now()
    for (let id = 0; id < count; id++) {
      const wait = start + id * everyMs - performance.now()
      if (wait > 1) await new Promise((resolve) => setTimeout(resolve, wait))
      began[id] = performance.now()
      void send(id)
    }
    await done.promise
  })
  const settled = took.slice(Math.floor(count / 10)).sort((a, b) => a - b)
  const at = (part: number): number => settled[Math.floor(part * settled.length)] as number
  return { ...sample, more: { 'ms p50': at(0.5), 'ms p99': at(0.99) } }
}
