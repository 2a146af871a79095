import { MessagingError } from '@posthorn/core'

/** How a request failed, whichever client made it. */
export class Fault extends Error {
  override readonly name = 'Fault'
  /** `broker`: it answered with an error; `connection`: it may or may not have got the request; `refused`: it never did. */
  readonly kind: 'broker' | 'connection' | 'refused' | 'login' | 'client'
  /** Kafka's own name of the error, where it answered. */
  readonly type: string

  constructor(kind: Fault['kind'], type: string, message: string, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause })
    this.kind = kind
    this.type = type
  }
}

/** What a certificate that one side does not trust looks like to Node: nothing that trying again would mend. */
const untrusted = /CERT|SELF_SIGNED|UNABLE_TO_VERIFY|ALTNAME/

/** The fault of an error whose code says that a certificate was refused. */
export function certificateFault(error: unknown, cause: unknown): Fault | undefined {
  const { code, message } = error as { readonly code?: unknown; readonly message?: unknown }
  if (typeof code !== 'string' || !untrusted.test(code)) return undefined
  return new Fault('login', certificateRefused, `${String(message)} (${code})`, cause)
}

const certificateRefused = 'CERTIFICATE_REFUSED'

/** Type of the fault of what is asked after the end. */
export const closedByUs = 'CLOSED'

/** Errors that pass by themselves: a leader or coordinator moves, replicas catch up. */
const passing: ReadonlySet<string> = new Set([
  'UNKNOWN_TOPIC_OR_PARTITION',
  'UNKNOWN_TOPIC_ID',
  'LEADER_NOT_AVAILABLE',
  'NOT_LEADER_FOR_PARTITION',
  'NOT_LEADER_OR_FOLLOWER',
  'REQUEST_TIMED_OUT',
  'BROKER_NOT_AVAILABLE',
  'REPLICA_NOT_AVAILABLE',
  'NETWORK_EXCEPTION',
  'GROUP_LOAD_IN_PROGRESS',
  'COORDINATOR_LOAD_IN_PROGRESS',
  'GROUP_COORDINATOR_NOT_AVAILABLE',
  'COORDINATOR_NOT_AVAILABLE',
  'NOT_COORDINATOR_FOR_GROUP',
  'NOT_COORDINATOR',
  'NOT_ENOUGH_REPLICAS',
  'NOT_ENOUGH_REPLICAS_AFTER_APPEND',
  'NOT_CONTROLLER',
  'KAFKA_STORAGE_ERROR',
  'FENCED_LEADER_EPOCH',
  'UNKNOWN_LEADER_EPOCH',
  'OFFSET_NOT_AVAILABLE',
  'UNSTABLE_OFFSET_COMMIT',
  'CONCURRENT_TRANSACTIONS',
  'PREFERRED_LEADER_NOT_AVAILABLE',
  'ELIGIBLE_LEADERS_NOT_AVAILABLE',
  'THROTTLING_QUOTA_EXCEEDED',
])

/** Whether the same request may succeed later. */
export function passes(fault: Fault): boolean {
  if (fault.type === closedByUs) return false
  return fault.kind === 'connection' || fault.kind === 'refused' || (fault.kind === 'broker' && passing.has(fault.type))
}

/** Whether the broker that was asked knows no such topic. */
export function absent({ type }: Fault): boolean {
  return type === 'UNKNOWN_TOPIC_OR_PARTITION' || type === 'UNKNOWN_TOPIC_ID'
}

/** Whether the broker may have carried the request out although we have no answer that says so. */
export function ambiguous(fault: Fault): boolean {
  return (
    fault.kind === 'connection' ||
    fault.type === 'REQUEST_TIMED_OUT' ||
    fault.type === 'NOT_ENOUGH_REPLICAS_AFTER_APPEND' ||
    fault.type === 'KAFKA_STORAGE_ERROR'
  )
}

/** Whether our place in the group is gone, so that nothing of it may be committed any more. */
export function expelled(fault: Fault): boolean {
  return (
    fault.type === 'UNKNOWN_MEMBER_ID' || fault.type === 'ILLEGAL_GENERATION' || fault.type === 'FENCED_INSTANCE_ID'
  )
}

/** Whether another node must be asked from now on. */
export function moved(fault: Fault): boolean {
  return fault.kind !== 'broker' || /COORDINATOR|LEADER|UNKNOWN_TOPIC|LOAD_IN_PROGRESS/.test(fault.type)
}

/** Anything thrown, as a `Fault`. */
export function faultOf(error: unknown): Fault {
  if (error instanceof Fault) return error
  return new Fault('client', 'CLIENT', error instanceof Error ? error.message : String(error), error)
}

const sizes: ReadonlySet<string> = new Set(['MESSAGE_TOO_LARGE', 'RECORD_LIST_TOO_LARGE', 'RECORD_TOO_LARGE'])

/** Whether a batch has more bytes than the topic takes. */
export function tooLarge({ type }: Pick<Fault, 'type'>): boolean {
  return sizes.has(type)
}

/** What core and users get of a fault; `doing` says what failed, to what. */
export function messagingError(
  fault: unknown,
  doing: string,
  outcome: 'failed' | 'unknown' = 'failed',
): MessagingError {
  if (fault instanceof MessagingError) return fault
  const { kind, type, message } = faultOf(fault)
  const make = (code: MessagingError['code'], advice: string): MessagingError =>
    new MessagingError(code, `${doing}: ${message}${advice === '' ? '' : `; ${advice}`}`, { outcome, cause: fault })
  if (type === certificateRefused)
    return make(
      'unauthorized',
      "check that tls.ca is who signed the broker's certificate, that it bears the name we connect to (or tls.servername), and our own tls.cert and tls.key",
    )
  if (kind === 'login' || type.endsWith('AUTHORIZATION_FAILED') || type.startsWith('SASL'))
    return make('unauthorized', 'check user, password, mechanism and the access rules of the broker')
  if (tooLarge({ type }))
    return make('too-large', "raise the broker's message.max.bytes or the topic's max.message.bytes, or send less")
  if (absent({ type } as Fault)) return make('not-found', "create the topic, or connect with topology 'declare'")
  if (type === 'THROTTLING_QUOTA_EXCEEDED') return make('throttled', 'it goes on by itself')
  if (type === 'ABORTED') return make('timeout', '')
  if (type === closedByUs) return make('closed', '')
  if (passes({ kind, type } as Fault)) return make('unavailable', '')
  if (kind === 'client') return make('internal', 'this is a defect of the adapter or its client; please report it')
  if (/^(INVALID|UNSUPPORTED|POLICY|INCONSISTENT)/.test(type)) return make('invalid', '')
  return make('remote', '')
}
