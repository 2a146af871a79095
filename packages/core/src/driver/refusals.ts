// What is refused in the same words on every broker.
import { MessagingError } from '../errors.ts'

/** There is none of this name. */
export function noSuchTopic(topic: string, where: string): MessagingError {
  return new MessagingError(
    'not-found',
    `${where} has no topic ${topic}; look at the list of topics, and at the namespace`,
  )
}

/** A shelf of letters that no group of this name could have filled. */
export function noSuchShelf(topic: string, group: string): MessagingError {
  return new MessagingError('not-found', `there is no group ${group} that could have dead letters of ${topic}`)
}

/** Removing it would take messages out of the hands of those who handle them. */
export function topicIsRead(topic: string, groups: readonly string[]): MessagingError {
  return new MessagingError(
    'invalid',
    `topic ${topic} is read by ${groups.join(', ')}, so nothing was removed; stop its consumers and try again`,
  )
}
