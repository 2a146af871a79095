import type { Delivery } from '@posthorn/core'

/** The same delivery with something else in it. Its signal is still made when somebody reads it, which most handlers never do. */
export function changed(
  delivery: Delivery,
  over: Partial<Pick<Delivery, 'tx' | 'fence'>> & { readonly signal?: () => AbortSignal },
): Delivery {
  const { signal = () => delivery.signal, ...values } = over
  const from = delivery as unknown as Record<PropertyKey, unknown>
  const copy: Record<PropertyKey, unknown> = {}
  for (const name of Object.keys(from)) if (name !== 'signal') copy[name] = from[name]
  // What core knows of a delivery goes with it.
  for (const symbol of Object.getOwnPropertySymbols(from)) copy[symbol] = from[symbol]
  Object.assign(copy, values)
  Object.defineProperty(copy, 'signal', { get: signal, enumerable: true, configurable: true })
  return copy as unknown as Delivery
}
