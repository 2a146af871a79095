import { describe, MessagingError } from '@posthorn/core/driver'

/** Primary result codes of SQLite that need words of their own. */
const codes = {
  busy: 5,
  locked: 6,
  readonly: 8,
  ioerr: 10,
  corrupt: 11,
  full: 13,
  cantopen: 14,
  protocol: 15,
  notadb: 26,
} as const

/** What `node:sqlite` throws; `errcode` may be an extended code. */
function codeOf(error: unknown): number | undefined {
  const code = (error as { readonly errcode?: unknown } | null | undefined)?.errcode
  return typeof code === 'number' ? code & 0xff : undefined
}

/** Whether somebody else holds the lock that this needs: trying again later helps. */
export function isBusy(error: unknown): boolean {
  const code = codeOf(error)
  // `protocol`: so many came and went that no place in the log of reads was to be had.
  return code === codes.busy || code === codes.locked || code === codes.protocol
}

/** What a failure of SQLite means, for the file at `path`. What is ours passes as it is. */
export function translated(error: unknown, path: string): MessagingError {
  if (error instanceof MessagingError) return error
  const refuse = (
    code: ConstructorParameters<typeof MessagingError>[0],
    what: string,
    outcome: 'failed' | 'unknown' = 'failed',
  ): MessagingError =>
    new MessagingError(code, `the SQLite file ${path} ${what} (${describe(error)})`, { cause: error, outcome })
  switch (codeOf(error)) {
    case codes.busy:
    case codes.locked:
    case codes.protocol:
      return refuse('unavailable', 'is locked by another process; look for a transaction that is held open')
    case codes.readonly:
      return refuse(
        'unavailable',
        'cannot be written; give this user write access to it, to its -wal and -shm files and to its folder',
      )
    case codes.ioerr:
      // A commit whose fsync fails is taken back, and may all the same be on the disk when the machine starts again.
      return refuse(
        'unavailable',
        'could not be read or written; look at the disk. What was acknowledged is kept',
        'unknown',
      )
    case codes.full:
      return refuse('unavailable', 'found no room on the disk; nothing of this was kept. Free some and it goes on')
    case codes.cantopen:
      return refuse('unavailable', 'cannot be opened; see that its folder exists and may be written')
    case codes.corrupt:
      return refuse(
        'invalid',
        'is damaged; stop all processes, then restore a back-up or rescue what is there with `sqlite3 FILE .recover`',
      )
    case codes.notadb:
      return refuse('invalid', 'is not a SQLite database; name another file')
    default:
      return refuse('internal', 'refused a statement')
  }
}

/** Used after its end. */
export function closed(what: string): MessagingError {
  return new MessagingError('closed', `${what} is closed; open a new one`)
}

/** The caller's signal. */
export function aborted(what: string): MessagingError {
  return new MessagingError('aborted', `${what} was aborted by its signal; nothing was written`)
}

/** A topic that nobody declared has nobody who could ever read it: a dead reply address, mostly. */
export function undeclared(topic: string, path: string): MessagingError {
  return new MessagingError(
    'unroutable',
    `nobody declared the topic ${topic} in ${path}, and nobody reads it; declare it, or check its name`,
  )
}

/** Two members, or a member and a declaration, say different things of one group or topic. */
export function disagrees(what: string, property: string, recorded: string, asked: string): MessagingError {
  return new MessagingError(
    'invalid',
    `${what} has ${property} ${recorded}, and ${asked} was asked for; use the same everywhere, or another name`,
  )
}

/** A position that retention took. */
export function positionLost(topic: string, position: string): MessagingError {
  return new MessagingError(
    'stale',
    `${topic} no longer holds position ${position}; start at 'earliest', or raise retentionMs`,
  )
}
