/** A wait around `ms`, so that many who wait do not come back at once. */
export function spread(ms: number): number {
  return ms * (0.5 + Math.random())
}
