/** Ends this process in good order on SIGTERM, or when the one that started it is gone; after 3.5 s in any order. */
export function endWith(work: () => Promise<void>): void {
  let ending = false
  const end = (): void => {
    if (ending) return
    ending = true
    setTimeout(() => process.exit(1), 3_500)
    work().then(
      () => process.exit(0),
      (error: unknown) => {
        console.error(error)
        process.exit(1)
      },
    )
  }
  process.on('SIGTERM', end)
  process.on('disconnect', end)
  // Ctrl-C reaches the whole family; the parent says when.
  process.on('SIGINT', () => {})
}
