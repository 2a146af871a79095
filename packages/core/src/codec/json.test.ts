import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { isMessagingError } from '../errors.ts'
import { json } from './json.ts'
import { maxDepth } from './plain-data.ts'

const context = { id: '1', topic: 'orders', headers: {} }
const write = (value: unknown) => json.encode(value, context) as Uint8Array
const read = (body: string | Uint8Array) => json.decode(typeof body === 'string' ? Buffer.from(body) : body, context)
const nested = (depth: number) => JSON.parse('['.repeat(depth) + ']'.repeat(depth)) as unknown

function refusal(work: () => unknown): string {
  try {
    work()
  } catch (error) {
    expect(isMessagingError(error, 'codec')).toBe(true)
    return (error as Error).message
  }
  throw new Error('was accepted')
}

describe('writing', () => {
  test('what JSON can say comes back', () => {
    const value = fc.jsonValue({ maxDepth: 6 })
    fc.assert(
      fc.property(value, (each) => {
        fc.pre(!/"(__proto__|constructor|prototype)"/.test(JSON.stringify(each)))
        expect(read(write(each))).toEqual(JSON.parse(JSON.stringify(each)))
      }),
      { seed: 1, numRuns: 2_000 },
    )
  })

  test.each([
    [{ a: undefined, b: 1 }, '{"b":1}'],
    [{ at: new Date(0) }, '{"at":"1970-01-01T00:00:00.000Z"}'],
    [{ toJSON: () => [1] }, '[1]'],
    [{ rows: new Map(), inner: { big: 1n }, toJSON: () => ({ rows: 2 }) }, '{"rows":2}'],
    [Object.assign(Object.create(null), { a: 1 }), '{"a":1}'],
    // What is inherited is not written, so nothing is wrong with it.
    [Object.assign(Object.create({ inherited: () => 1 }), { a: 1 }), '{"a":1}'],
    ['\ud800', '"\\ud800"'],
    [-0, '0'],
    [null, 'null'],
    [{ prototypes: 1, constructors: 2 }, '{"prototypes":1,"constructors":2}'],
  ])('%o is written as %s', (value, wanted) => expect(Buffer.from(write(value)).toString()).toBe(wanted))

  test('an instance of a class is written as its fields', () => {
    class Order {
      readonly id = 5
    }
    expect(read(write(new Order()))).toEqual({ id: 5 })
  })

  test.each([
    [{ items: [{}, { price: Number.NaN }] }, '$.items[1].price: NaN'],
    [{ 'a b': { c: () => 1 } }, '$["a b"].c: a function'],
    [{ d: new Date(Number.NaN) }, '$.d: an invalid Date has no form in JSON'],
    [[undefined], '$[0]: undefined'],
    [{ a: 1n }, '$.a: a bigint'],
    [{ a: { constructor: 1 } }, "$.a: the key 'constructor'"],
    [nested(maxDepth + 1), '[0]...: nested deeper than 1000'],
  ])('says where a body cannot be written: %#', (value, wanted) => {
    const message = refusal(() => write(value))
    expect(message).toContain(wanted)
    expect(message).toContain("'orders'")
  })

  test('a cycle is found at once, an object in two places is none', () => {
    const cycle: { self?: unknown } = {}
    cycle.self = cycle
    expect(refusal(() => write(cycle))).toContain('holding itself')
    const shared = { a: 1 }
    expect(read(write([shared, shared]))).toEqual([shared, shared])
  })

  test('what a getter throws is the cause', () => {
    const thrown = new Error('no price')
    const value = {
      get price(): never {
        throw thrown
      },
    }
    expect(() => write(value)).toThrow(expect.objectContaining({ code: 'codec', cause: thrown }))
  })
})

describe('reading', () => {
  test.each([
    ['{"__proto__":{"x":1},"a":[{"constructor":1,"b":{"prototype":2,"c":3}}]}', { a: [{ b: { c: 3 } }] }],
    ['{"\\u005f_proto__":{"x":1},"k":1}', { k: 1 }],
    ['{"const\\u0072uctor":1,"\\u0070rototype":2}', {}],
    ['["__proto__","constructor"]', ['__proto__', 'constructor']],
    ['{"a":1,"a":2}', { a: 2 }],
    ['\uFEFF[1]', [1]],
  ])('%s', (body, wanted) => {
    const value = read(body)
    expect(value).toEqual(wanted)
    if (!Array.isArray(value)) expect(Object.getPrototypeOf(value)).toBe(Object.prototype)
  })

  test('reads as JSON.parse with a reviver that drops the unsafe keys', () => {
    const key = fc.constantFrom('a', '__proto__', 'constructor', 'prototype', '\\u005f_proto__', 'p\\u0072ototype')
    const { value } = fc.letrec<{ value: string }>((tie) => ({
      value: fc.oneof(
        { maxDepth: 5 },
        fc.constantFrom('1', '"__proto__"', 'null'),
        fc.array(tie('value'), { maxLength: 3 }).map((items) => `[${items.join(',')}]`),
        fc
          .array(fc.tuple(key, tie('value')), { maxLength: 4 })
          .map((entries) => `{${entries.map(([name, each]) => `"${name}":${each}`).join(',')}}`),
      ),
    }))
    const unsafe = new Set(['__proto__', 'constructor', 'prototype'])
    fc.assert(
      fc.property(value, (body) => {
        const wanted = JSON.parse(body, (name, each) => (unsafe.has(name) ? undefined : each)) as unknown
        expect(JSON.stringify(read(body))).toBe(JSON.stringify(wanted))
      }),
      { seed: 1, numRuns: 5_000 },
    )
  })

  test('as deep as is allowed and no deeper, whatever stands in texts', () => {
    expect(read(JSON.stringify(nested(maxDepth)))).toEqual(nested(maxDepth))
    expect(refusal(() => read('['.repeat(maxDepth + 1) + ']'.repeat(maxDepth + 1)))).toContain('nests deeper')
    expect(refusal(() => read('{"a":'.repeat(10_000)))).toContain('nests deeper')
    for (const brackets of ['[{'.repeat(5_000), '\\"['.repeat(5_000), `${'\\'.repeat(4_999)}[`.repeat(3)])
      expect(read(JSON.stringify({ a: brackets, b: [brackets] }))).toEqual({ a: brackets, b: [brackets] })
  })

  test('a refusal quotes nothing of the body', () => {
    const message = refusal(() => read('{"card":"4111111111111111",}'))
    expect(message).not.toContain('4111')
    expect(message).toContain('28 bytes')
  })

  test('random bytes are read or refused', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 40 }), (body) => {
        try {
          read(body)
        } catch (error) {
          if (!isMessagingError(error, 'codec')) throw error
        }
      }),
      { seed: 1, numRuns: 10_000 },
    )
  })
})
