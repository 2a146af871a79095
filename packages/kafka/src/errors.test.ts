import { expect, test } from 'vitest'
import { faultOfKafkajs } from './clients/kafkajs-faults.ts'
import { ambiguous, certificateFault, Fault, messagingError, passes } from './errors.ts'

const table: readonly (readonly [Fault, string, boolean])[] = [
  [new Fault('connection', 'CONNECTION', 'x'), 'unavailable', true],
  [new Fault('refused', 'CONNECTION', 'x'), 'unavailable', true],
  [new Fault('login', 'SASL_AUTHENTICATION_FAILED', 'x'), 'unauthorized', false],
  [certificateFault({ code: 'ERR_TLS_CERT_ALTNAME_INVALID', message: 'x' }, undefined) as Fault, 'unauthorized', false],
  [new Fault('broker', 'TOPIC_AUTHORIZATION_FAILED', 'x'), 'unauthorized', false],
  [new Fault('broker', 'MESSAGE_TOO_LARGE', 'x'), 'too-large', false],
  [new Fault('broker', 'NOT_ENOUGH_REPLICAS', 'x'), 'unavailable', true],
  [new Fault('broker', 'UNKNOWN_TOPIC_OR_PARTITION', 'x'), 'not-found', false],
  [new Fault('broker', 'INVALID_RECORD', 'x'), 'invalid', false],
  [new Fault('broker', 'SOMETHING_NEW', 'x'), 'remote', false],
  [new Fault('client', 'KAFKAJS', 'x'), 'internal', false],
  [new Fault('client', 'ABORTED', 'x'), 'timeout', true],
]

test.each(table)('%s is %s', (fault, code, retryable) => {
  const error = messagingError(fault, 'doing this')
  expect(error.code).toBe(code)
  expect(error.retryable).toBe(retryable)
  expect(error.message).toContain('doing this')
})

test('only what may have been stored is in doubt', () => {
  expect(ambiguous(new Fault('connection', 'CONNECTION', 'x'))).toBe(true)
  expect(ambiguous(new Fault('refused', 'CONNECTION', 'x'))).toBe(false)
  expect(ambiguous(new Fault('broker', 'NOT_ENOUGH_REPLICAS', 'x'))).toBe(false)
  expect(ambiguous(new Fault('broker', 'NOT_ENOUGH_REPLICAS_AFTER_APPEND', 'x'))).toBe(true)
})

class KafkaJSError extends Error {
  constructor(name: string, more: object = {}, cause?: unknown) {
    super(name, { cause })
    this.name = name
    Object.assign(this, more)
  }
}

test('kafkajs is judged by the cause: its "non-retriable" connection error passes', () => {
  const refused = new KafkaJSError('KafkaJSConnectionError', { code: 'ECONNREFUSED', retriable: true })
  const outer = new KafkaJSError('KafkaJSNonRetriableError', { retriable: false }, refused)
  expect(passes(faultOfKafkajs(outer, false))).toBe(true)
  expect(faultOfKafkajs(outer, false).kind).toBe('refused')
  expect(faultOfKafkajs(outer, true).kind).toBe('connection')
})

test('kafkajs: a broker’s answer keeps its name, a wrong password is one, a defect is a defect', () => {
  const protocol = new KafkaJSError('KafkaJSProtocolError', { type: 'NOT_LEADER_FOR_PARTITION' })
  expect(faultOfKafkajs(protocol, true)).toMatchObject({ kind: 'broker', type: 'NOT_LEADER_FOR_PARTITION' })
  expect(faultOfKafkajs(new KafkaJSError('KafkaJSSASLAuthenticationError'), false).kind).toBe('login')
  expect(faultOfKafkajs(new TypeError('x is not a function'), true).kind).toBe('client')
})
