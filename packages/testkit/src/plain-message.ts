import type { Dispatch } from '@posthorn/core/driver'

/** A message that has nothing but these: what tests of drivers send. */
export function plainMessage(over: Partial<Dispatch> = {}): Dispatch {
  return {
    id: 'id',
    topic: 't',
    key: undefined,
    tag: undefined,
    headers: {},
    body: Buffer.from('x'),
    contentType: undefined,
    sentAt: undefined,
    expiresAt: undefined,
    priority: undefined,
    version: undefined,
    generation: 0,
    failures: 0,
    history: [],
    lone: 0,
    replyTo: undefined,
    correlationId: undefined,
    ...over,
  }
}
