import { type Dispatch, newId } from '@posthorn/core/driver'
import { plainMessage } from '@posthorn/testkit'
import type { Message, MessageProperties } from 'amqplib'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { arrivalOf, propertiesOf } from './convert.ts'
import { namesIn } from './names.ts'

const names = namesIn('n')
const plain: Dispatch = plainMessage()
const carried = (properties: object, over: Partial<Message['fields']> = {}): Message => ({
  content: Buffer.from('x'),
  fields: { deliveryTag: 1, redelivered: false, exchange: '', routingKey: '0.t', ...over },
  properties: properties as MessageProperties,
})
const arrived = (message: Message, mapped = false) =>
  arrivalOf(message, { names, topic: undefined, token: 1, counted: true, mapped })

describe('a message on its way', () => {
  it('keeps its time to the ms, whatever its id is, in as little as it takes', () => {
    const ids = fc.oneof(
      fc.nat().map((ms) => newId(1_790_000_000_000 + ms)),
      fc.string({ minLength: 1 }),
      fc.constantFrom('01a1fdaa-2854-7000', `01a1fdaa-2854-7${'x'.repeat(30)}`),
    )
    fc.assert(
      fc.property(ids, fc.integer({ min: 0, max: 4_102_444_800_000 }), fc.boolean(), (id, at, same) => {
        const sentAt = same && id.length === 36 ? Number.parseInt(id.slice(0, 8) + id.slice(9, 13), 16) || at : at
        const arrival = arrived(carried(propertiesOf({ ...plain, id, sentAt }, names, 0)))
        expect([arrival.id, arrival.sentAt]).toEqual([id, sentAt])
      }),
      { seed: 10, numRuns: 1_000 },
    )
    // The id of the same ms says it.
    const id = '01a1fdaa-2854-7000-b6a1-3dd77d3a2ea5'
    const sentAt = 0x01a1fdaa2854
    expect(propertiesOf({ ...plain, id, sentAt }, names, 0).headers).toBeUndefined()
  })

  it('keeps headers whose names mean something to the broker, and drops those of the broker', () => {
    const headers = { CC: 'a', 'x-death': 'b', 'x-delivery-count': '9', 'x-request-id': 'c', __proto__x: 'd' }
    const out = propertiesOf({ ...plain, headers }, names, 0)
    expect(Object.keys(out.headers ?? {})).not.toContain('CC')
    const arrival = arrived(carried({ ...out, headers: { ...out.headers, 'x-delivery-count': 2, 'x-death': [] } }))
    expect({ ...arrival.headers }).toEqual(headers)
    expect(arrival.deliveryCount).toBe(3)
  })

  it('puts what is too long for a property into a header', () => {
    const long = 'é'.repeat(200)
    const message = { ...plain, id: long, contentType: long, correlationId: long }
    const out = propertiesOf(message, names, 0)
    expect(out.messageId).toBeUndefined()
    expect(arrived(carried(out))).toMatchObject({
      id: long,
      contentType: long,
      correlationId: long,
      foreign: false,
    })
  })

  it('of a stranger has the same id however often it comes, and another if it differs', () => {
    const one = arrived(carried({ headers: { n: 1 } }))
    const again = arrived(carried({ headers: { n: 1 } }, { deliveryTag: 7, redelivered: true }))
    expect([again.id, again.foreign, again.headers['n']]).toEqual([one.id, true, '1'])
    expect(arrived(carried({ headers: { n: 2 } })).id).not.toBe(one.id)
    // What is sent again has that id from us, and is as strange as before.
    const copy = propertiesOf({ ...plain, ...one, failures: 1, generation: 1 }, names, 0)
    expect(arrived(carried(copy))).toMatchObject({ id: one.id, foreign: true })
    // An id that they gave is theirs to keep apart, but not on a topic of which we know nothing.
    expect(arrived(carried({ messageId: 'theirs' }))).toMatchObject({ id: 'theirs', foreign: false })
    expect(arrived(carried({ messageId: 'theirs' }), true)).toMatchObject({ id: 'theirs', foreign: true })
  })

  it('survives what strangers put into headers', () => {
    const decimals = [314, 2, 5].map((digits, places) => ({ '!': 'decimal', value: { digits, places } }))
    const odd = {
      ...decimals,
      a: null,
      b: true,
      c: { '!': 'timestamp', value: 5 },
      d: [1, { e: 'f' }],
      g: Buffer.from('h'),
      i: 1n,
    }
    const { headers } = arrived(carried({ headers: odd, timestamp: 'soon', priority: 300, messageId: 7 }))
    expect(arrived(carried({ timestamp: 2 ** 52 })).sentAt).toBeUndefined()
    expect({ ...headers }).toEqual({
      0: '314',
      1: '0.2',
      2: '0.05',
      a: 'null',
      b: 'true',
      c: '5',
      d: '[1,{"e":"f"}]',
      g: 'h',
      i: '1',
    })
  })
})
