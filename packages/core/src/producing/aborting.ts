import type { Slot } from './slot.ts'

/** Slots by the signal that ends them: one listener for each signal, since taking one of thousands out of a signal walks them all. */
export function aborting(abort: (slot: Slot, signal: AbortSignal) => void): (slot: Slot, signal: AbortSignal) => void {
  const heard = new WeakMap<AbortSignal, { readonly slots: Set<Slot>; readonly stop: () => void }>()
  return (slot, signal) => {
    let entry = heard.get(signal)
    if (entry === undefined) {
      const slots = new Set<Slot>()
      const fire = (): void => {
        heard.delete(signal)
        for (const each of slots) abort(each, signal)
      }
      signal.addEventListener('abort', fire, { once: true })
      entry = { slots, stop: () => signal.removeEventListener('abort', fire) }
      heard.set(signal, entry)
    }
    const { slots, stop } = entry
    slots.add(slot)
    slot.unlisten = () => {
      slots.delete(slot)
      if (slots.size > 0) return
      stop()
      heard.delete(signal)
    }
  }
}
