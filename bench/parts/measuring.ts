import type { Sample } from '../harness/case.ts'

/** Measures work that handles `messages` messages. Warm up before: the clock starts at once. */
export const measured = async (
  messages: number,
  work: () => void | Promise<void>,
  more?: Sample['more'],
): Promise<Sample> => {
  globalThis.gc?.()
  const cpu = process.cpuUsage()
  const began = performance.now()
  await work()
  const wallMs = performance.now() - began
  const { user, system } = process.cpuUsage(cpu)
  const sample = { messages, wallMs, cpuMs: (user + system) / 1_000, rssMb: process.memoryUsage.rss() / 1_048_576 }
  return more === undefined ? sample : { ...sample, more }
}

/** A JSON object of about 256 bytes, the size that the goals are named for. */
export interface Order {
  readonly id: number
  readonly customer: string
  readonly items: readonly { readonly sku: string; readonly count: number; readonly cents: number }[]
  readonly note: string
}

/** The order of a number; equal numbers give equal bytes. */
export const orderOf = (id: number): Order => ({
  id,
  customer: 'customer-0000000042',
  items: [
    { sku: 'AB-1000-X', count: 2, cents: 1_999 },
    { sku: 'CD-2000-Y', count: 1, cents: 4_950 },
  ],
  note: 'x'.repeat(100),
})
