// Several messages that share a fate: an atomic batch, or a batch in one transaction.
import { MessagingError } from '../errors.ts'
import type { Receipt } from '../face/sending.ts'
import type { Draft } from './dispatch.ts'

/** Brings the messages of a batch together again after each has gone through the middlewares by itself. */
export interface Joining {
  /** Message `n` has come through; settles with the batch. */
  join(n: number, draft: Draft): Promise<Receipt>
  /** Message `n` will not come: it was refused on the way. Not heard where it has come. */
  skip(n: number): void
}

/**
 * Calls `send` once, with what has come, when each of the `size` messages has come or will not. With `allOrNone` one that does not
 * come takes the others with it.
 */
export function joining(
  size: number,
  allOrNone: boolean,
  send: (drafts: readonly Draft[]) => Promise<readonly Receipt[]>,
): Joining {
  const places: (
    | { readonly draft: Draft; readonly resolve: (receipt: Receipt) => void; readonly reject: (error: unknown) => void }
    | 'skipped'
    | undefined
  )[] = new Array(size).fill(undefined)
  let left = size
  function settle(): void {
    const come = places.filter((each) => each !== undefined && each !== 'skipped')
    const missing = places.indexOf('skipped')
    if (allOrNone && missing >= 0) {
      const error = new MessagingError(
        'invalid',
        `nothing of the atomic batch was sent: its message ${missing} was refused`,
      )
      for (const each of come) each.reject(error)
      return
    }
    if (come.length === 0) return
    send(come.map(({ draft }) => draft)).then(
      (receipts) => {
        for (const [n, each] of come.entries()) each.resolve(receipts[n] as Receipt)
      },
      (error: unknown) => {
        for (const each of come) each.reject(error)
      },
    )
  }
  return {
    join(n, draft) {
      return new Promise((resolve, reject) => {
        if (places[n] !== undefined)
          return reject(
            new MessagingError('invalid', 'a send middleware sent a message of a batch twice; call next once'),
          )
        places[n] = { draft, resolve, reject }
        if (--left === 0) settle()
      })
    },
    skip(n) {
      if (places[n] !== undefined) return
      places[n] = 'skipped'
      if (--left === 0) settle()
    },
  }
}
