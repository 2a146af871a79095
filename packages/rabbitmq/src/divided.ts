/** Most channels on which things are made at once: a channel makes one after the other, and what a broker gains by more is little. */
export const mostAbreast = 8

/**
 * Divides work among hands, each of which takes the next item when it has done one. Where one fails the others take no more; it rejects with the
 * first failure, when all are at rest.
 */
export async function divided<T>(
  items: readonly T[],
  hands: readonly ((left: Iterable<T>) => Promise<void>)[],
): Promise<void> {
  // Who leaves its loop by an error ends the generator for all.
  const left = eachOf(items)
  const ends = await Promise.allSettled(hands.map((hand) => hand(left)))
  for (const end of ends) if (end.status === 'rejected') throw end.reason
}

function* eachOf<T>(items: readonly T[]): Generator<T> {
  yield* items
}
