import { certificateFault, Fault } from '../errors.ts'
import { internals } from './kafkajs-internals.ts'

interface NativeError extends Error {
  readonly type?: string
  readonly code?: string | number
  readonly originalError?: unknown
}

const logins = /^KafkaJSSASL|AuthenticationError$/
const connections: ReadonlySet<string> = new Set([
  'KafkaJSConnectionError',
  'KafkaJSConnectionClosedError',
  'KafkaJSRequestTimeoutError',
  'KafkaJSLockTimeout',
])

/** What kafkajs threw, by its innermost cause: the flag `retriable` and the outer name say nothing reliable. */
export function faultOfKafkajs(error: unknown, sent: boolean): Fault {
  if (error instanceof Fault) return error
  for (
    let each = error as NativeError | undefined;
    each instanceof Error;
    each = each.cause as NativeError | undefined
  ) {
    if (logins.test(each.name) || each.type === 'SASL_AUTHENTICATION_FAILED')
      return new Fault('login', 'SASL_AUTHENTICATION_FAILED', each.message, error)
    if (typeof each.type === 'string') return new Fault('broker', each.type, each.message, error)
    const refused = certificateFault(each, error)
    if (refused !== undefined) return refused
    if (connections.has(each.name) || (typeof each.code === 'string' && /^E[A-Z]+$/.test(each.code)))
      return new Fault(sent ? 'connection' : 'refused', 'CONNECTION', each.message, error)
    if (each.name === 'KafkaJSNotImplemented')
      return new Fault('broker', 'UNSUPPORTED_COMPRESSION_TYPE', each.message, error)
  }
  return new Fault('client', 'KAFKAJS', error instanceof Error ? error.message : String(error), error)
}

/** An error of the broker by its number. */
export function faultOfCode(code: number, text?: string): Fault {
  const { type, message } = internals().errorOf(code)
  return new Fault('broker', type, text ?? message)
}
