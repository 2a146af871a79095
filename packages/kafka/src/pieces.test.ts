import fc from 'fast-check'
import { expect, test } from 'vitest'
import type { KafkaRecord } from './clients/port.ts'
import { cut, recut } from './pieces.ts'

const record: fc.Arbitrary<KafkaRecord> = fc.record({
  key: fc.option(fc.uint8Array({ maxLength: 20 })),
  value: fc.option(fc.uint8Array({ maxLength: 500 })),
  headers: fc.dictionary(fc.string({ maxLength: 5 }), fc.string({ maxLength: 50 })),
  timestamp: fc.constant(0),
})
const part = fc.array(record, { minLength: 1, maxLength: 40 }).map((records) => ({ topic: 't', partition: 0, records }))

test('the pieces of a part are its records in order, each as large as allowed or one record alone', () => {
  fc.assert(
    fc.property(part, fc.integer({ min: 100, max: 5_000 }), (whole, most) => {
      const pieces = cut(whole, most)
      expect(pieces.flatMap(({ records }) => records)).toEqual(whole.records)
      let end = 0
      for (const piece of pieces) {
        end += piece.records.length
        expect(piece.end).toBe(end)
        expect(piece.bytes <= most || piece.records.length === 1).toBe(true)
      }
    }),
    { seed: 1 },
  )
})

test('what proved too large becomes more pieces that end where it ended, until each is one record', () => {
  fc.assert(
    fc.property(part, (whole) => {
      let pieces = cut(whole, Number.POSITIVE_INFINITY)
      while (pieces.some(({ records }) => records.length > 1)) {
        const before = pieces.length
        pieces = pieces.flatMap((piece) => (piece.records.length > 1 ? recut(piece) : [piece]))
        expect(pieces.length).toBeGreaterThan(before)
      }
      expect(pieces.map(({ end }) => end)).toEqual(whole.records.map((_, at) => at + 1))
      expect(pieces.flatMap(({ records }) => records)).toEqual(whole.records)
    }),
    { seed: 1 },
  )
})
