/** A transaction that was undone: what its producer wrote from `first` to its end marker counts for nobody. */
export interface AbortedTransaction {
  readonly producer: string
  readonly first: number
}

/**
 * Whether a record counts; must be asked for all records of an answer, in order. Control records, which end transactions, never do.
 */
export function visibility(
  transactions: readonly AbortedTransaction[],
): (offset: number, producer: string, inTransaction: boolean, control: boolean) => boolean {
  const coming = [...transactions].sort((a, b) => a.first - b.first)
  const undone = new Set<string>()
  return (offset, producer, inTransaction, control) => {
    while (coming.length > 0 && (coming[0] as AbortedTransaction).first <= offset)
      undone.add((coming.shift() as AbortedTransaction).producer)
    if (!control) return !(inTransaction && undone.has(producer))
    undone.delete(producer)
    return false
  }
}
