import { MessagingError } from '@posthorn/core/driver'

/** A topic that nobody declared has nobody who could ever read it: a dead reply address, mostly. */
export function undeclared(topic: string): MessagingError {
  return new MessagingError(
    'unroutable',
    `nobody declared the topic ${topic} on this memory log, and nobody reads it; declare it, or check its name`,
  )
}

/** Two members, or a member and a declaration, say different things of one group or topic. */
export function disagrees(what: string, property: string, recorded: string, asked: string): MessagingError {
  return new MessagingError(
    'invalid',
    `${what} has ${property} ${recorded}, and ${asked} was asked for; use the same everywhere, or another name`,
  )
}

/** Used after its end. */
export function closed(what: string): MessagingError {
  return new MessagingError('closed', `${what} is closed; open a new one`)
}

/** A position that retention took. */
export function positionLost(topic: string, position: string): MessagingError {
  return new MessagingError(
    'stale',
    `${topic} no longer holds position ${position}; start at 'earliest', or raise retentionMs`,
  )
}

/** What no receipt and no delivery of this log ever said. */
export function noPosition(position: string): MessagingError {
  return new MessagingError(
    'invalid',
    `${JSON.stringify(position)} is no position of this log; give one from a receipt or a delivery`,
  )
}

/** The caller's signal. */
export function aborted(what: string): MessagingError {
  return new MessagingError('aborted', `${what} was aborted by its signal; nothing was done`)
}

/** No longer in the hands of who received it. */
export function takenBack(id: string): MessagingError {
  return new MessagingError('stale', `the delivery of ${id} was taken back: its lease ended, or the group was moved`)
}
