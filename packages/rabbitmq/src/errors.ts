import { describe, type ErrorCode, MessagingError } from '@posthorn/core/driver'

/** Reply codes of AMQP 0-9-1 and what they mean to us. */
const meanings: Readonly<Record<number, ErrorCode>> = {
  311: 'too-large',
  313: 'unroutable',
  320: 'unavailable',
  403: 'unauthorized',
  404: 'not-found',
  405: 'unavailable', // an exclusive queue whose former connection the broker still believes in
  406: 'invalid',
  506: 'throttled',
  530: 'unauthorized',
  540: 'unsupported',
  541: 'unavailable',
}

/** What a certificate that is not trusted looks like to Node: nothing that trying again would mend. */
const untrusted = /CERT|SELF_SIGNED|UNABLE_TO_VERIFY|ALTNAME|SSL_ALERT|ERR_SSL/

/** An error of amqplib or of its socket as ours: what it was about, what happened, what helps. */
export function translated(error: unknown, about: string, outcome?: 'failed' | 'unknown'): MessagingError {
  if (error instanceof MessagingError) return error
  const code = codeOf(error)
  const text = sentence(error)
  const hint = noChannel.test(text) ? moreConnections : (hints[code] ?? '')
  return new MessagingError(code, `${about}: ${text}${hint}`, { cause: error, outcome })
}

/** What amqplib says when a connection has all that it may have. Some may end, so it can pass. */
const noChannel = /No channels left to allocate/
const moreConnections =
  '; each consumer takes a channel for each queue that it reads, and a connection has as many as channel_max of the broker says (2047): spread the consumers over more than one connect(), or raise it'

const hints: Partial<Record<ErrorCode, string>> = {
  unauthorized: '; check user, password, virtual host, permissions and certificates',
}

function codeOf(error: unknown): ErrorCode {
  const { code } = (typeof error === 'object' && error !== null ? error : {}) as { readonly code?: unknown }
  if (typeof code === 'number') return meanings[code] ?? 'internal'
  if (typeof code === 'string') return untrusted.test(code) ? 'unauthorized' : 'unavailable'
  const text = describe(error)
  if (/ACCESS[-_]REFUSED|NOT[-_]ALLOWED|\b(403|530)\b/.test(text)) return 'unauthorized'
  if (/SASL mechanism/.test(text)) return 'unauthorized'
  return 'unavailable'
}

/** The broker's own words without the client's wrapping. */
function sentence(error: unknown): string {
  const text = describe(error)
  return /with message "(.+)"/s.exec(text)?.[1] ?? text
}

/** A conflict between what is asked for and what the broker has: `invalid` with both values and the way out. */
export function conflict(error: unknown, what: string): MessagingError {
  const ours = translated(error, what)
  if (ours.code === 'unauthorized')
    return new MessagingError(
      'unauthorized',
      `${ours.message}; or connect with topology: 'check' where somebody else has made it`,
      {
        cause: error,
      },
    )
  const found = /inequivalent arg '([^']+)'.*received (.+) but current is (.+?)"?$/.exec(ours.message)
  if (found === null) return ours
  const [, property = '', asked = '', there = ''] = found
  const plain = (text: string): string => text.replace(/^the value /, '').replace(/ of type '\w+'$/, '')
  return new MessagingError(
    'invalid',
    `${what}: here ${nameOf(property)} is ${plain(asked)}, on the broker it is ${plain(there)}; make all members and producers say the same, or remove it from the broker when it is empty (docs/brokers/rabbitmq.md tells how)`,
    { cause: error },
  )
}

const nameOf = (property: string): string => (property === 'alternate-exchange' ? 'the agreement' : property)

/** The connection or the channel is gone. */
export function gone(about: string, cause?: unknown, outcome?: 'failed' | 'unknown'): MessagingError {
  return new MessagingError('unavailable', `${about}: the connection to RabbitMQ is gone`, { cause, outcome })
}

/** What is to be looked through is in somebody else's hands. */
export function heldByOthers(about: string, queue: string): MessagingError {
  return new MessagingError(
    'unavailable',
    `${about}: another consumer has all of queue ${queue} in its hands; try again when it has ended its listing`,
  )
}

/** Whether it is about something that is not there, whatever it is called by now. */
export function isMissing({ code, cause }: MessagingError): boolean {
  return code === 'unroutable' || (cause as { readonly code?: unknown } | undefined)?.code === 404
}

/** It was there, and is being made again. */
export function madeAgain(error: MessagingError): MessagingError {
  return new MessagingError('unavailable', `${error.message}; it was there before, and is made again`, {
    cause: error,
    outcome: error.outcome,
  })
}

/** The caller gave up. */
export function aborted(about: string, signal: AbortSignal, outcome?: 'failed' | 'unknown'): MessagingError {
  return new MessagingError('aborted', `${about} was aborted`, { cause: signal.reason, outcome })
}

/** What was asked of something that has been closed. */
export function closed(what: string): MessagingError {
  return new MessagingError('closed', `${what} is closed`)
}

/** The same for what core mends by opening again, whatever the broker closed the channel for. */
export function unavailable(why: unknown, about: string): MessagingError {
  if (why === undefined) return gone(about)
  const error = translated(why, about)
  return error.retryable ? error : gone(error.message, why)
}
