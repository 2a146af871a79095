import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { framesOn, type Outgoing, type Properties } from './frames.ts'

/** The encoder of amqplib, which it does not export. */
interface Definitions {
  readonly BasicPublish: number
  readonly BasicProperties: number
  encodeMethod(method: number, channel: number, fields: object): Buffer
  encodeProperties(properties: number, channel: number, size: number, fields: object): Buffer
}
interface Frame {
  makeBodyFrame(channel: number, payload: Buffer): Buffer
}
const load = createRequire(import.meta.url)
const lib = join(dirname(load.resolve('amqplib')), 'lib')
const { BasicPublish, BasicProperties, encodeMethod, encodeProperties } = load(join(lib, 'defs.js')) as Definitions
const { makeBodyFrame } = load(join(lib, 'frame.js')) as Frame

/** The same message as amqplib writes it. */
const byClient = ({ exchange, key, body, properties }: Outgoing, channel: number, frameMax: number): Buffer => {
  const { expiration, ...rest } = properties
  const parts: Buffer[] = []
  for (let at = 0; at < body.length; at += frameMax - 8)
    parts.push(makeBodyFrame(channel, Buffer.from(body.subarray(at, at + frameMax - 8))))
  return Buffer.concat([
    encodeMethod(BasicPublish, channel, { exchange, routingKey: key, mandatory: true }),
    Buffer.from(
      encodeProperties(BasicProperties, channel, body.length, {
        ...rest,
        deliveryMode: 2,
        ...(expiration === undefined ? {} : { expiration: String(expiration) }),
      }),
    ),
    ...parts,
  ])
}
const outgoing = (properties: Properties, over: Partial<Outgoing> = {}): Outgoing => ({
  id: 'id',
  exchange: 'orders',
  key: '0.orders',
  body: Buffer.from('{}'),
  properties,
  ...over,
})

describe('a publish as bytes', () => {
  it('is what amqplib makes of it', () => {
    const text = fc.oneof(fc.string({ maxLength: 80 }), fc.string({ unit: 'grapheme', maxLength: 25 }))
    const properties = fc.record(
      {
        contentType: text,
        headers: fc.dictionary(
          text,
          fc.oneof(
            text,
            fc.constant(true as const),
            fc.nat({ max: 6_000 }).map((length) => 'x'.repeat(length)),
          ),
          { maxKeys: 8 },
        ),
        priority: fc.integer({ min: 0, max: 9 }),
        correlationId: text,
        replyTo: text,
        expiration: fc.nat(),
        messageId: text,
        timestamp: fc.nat({ max: 5_000_000_000 }),
      },
      { requiredKeys: [] },
    )
    const messages = fc.record({
      id: text,
      exchange: text,
      key: text,
      body: fc.nat({ max: 20_000 }).map((length) => Buffer.alloc(length, 'b')),
      properties,
    })
    fc.assert(
      fc.property(
        fc.array(messages, { minLength: 1, maxLength: 5 }),
        fc.integer({ min: 1, max: 65_535 }),
        (all, on) => {
          const frames = framesOn(on, 131_072)
          for (const each of [...all, ...all]) frames.add(each)
          const once = Buffer.concat(all.map((each) => byClient(each, on, 131_072)))
          expect(frames.take().equals(Buffer.concat([once, once]))).toBe(true)
          expect(frames.size).toBe(0)
        },
      ),
      { seed: 5, numRuns: 200 },
    )
  })

  it('is held by golden bytes for a message that needs no header', () => {
    const frames = framesOn(1, 131_072)
    const messageId = '01a1fdaa-2854-7000-b6a1-3dd77d3a2ea5'
    frames.add(outgoing({ contentType: 'application/json', messageId, timestamp: 1_790_000_000 }))
    expect(frames.take().toString('latin1')).toBe(
      [
        '\x01\x00\x01\x00\x00\x00\x17\x00\x3c\x00\x28\x00\x00\x06orders\x080.orders\x01\xce',
        '\x02\x00\x01\x00\x00\x00\x4d\x00\x3c\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02\x90\xc0',
        `\x10application/json\x02\x24${messageId}\x00\x00\x00\x00\x6a\xb1\x3b\x80\xce`,
        '\x03\x00\x01\x00\x00\x00\x02{}\xce',
      ].join(''),
    )
  })

  it('is not there at all where something does not fit', () => {
    const frames = framesOn(1, 131_072)
    frames.add(outgoing({ messageId: 'before' }))
    const headers = { large: 'x'.repeat(70_000) }
    expect(() => frames.add(outgoing({ headers }))).toThrow(RangeError)
    expect(() => frames.add(outgoing({ headers: { ['n'.repeat(256)]: 'x' } }))).toThrow(TypeError)
    expect(() => frames.add(outgoing({ messageId: 'é'.repeat(200) }))).toThrow(TypeError)
    expect(() => frames.add(outgoing({}, { key: 'k'.repeat(256) }))).toThrow(TypeError)
    frames.add(outgoing({ messageId: 'behind' }))
    const alone = framesOn(1, 131_072)
    alone.add(outgoing({ messageId: 'before' }))
    alone.add(outgoing({ messageId: 'behind' }))
    expect(frames.take().equals(alone.take())).toBe(true)
  })

  it('is cut into frames of the size that was agreed on', () => {
    const frames = framesOn(1, 4_096)
    const body = Buffer.alloc(10_000, 'x')
    const whole = outgoing({}, { body })
    frames.add(whole)
    expect(frames.take().equals(byClient(whole, 1, 4_096))).toBe(true)
    expect(() => frames.add(outgoing({ headers: { a: 'x'.repeat(5_000) } }))).toThrow(RangeError)
  })
})
