import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { visibility } from '../clients/aborted.ts'
import type { Compression, KafkaRecord, StoredRecord } from '../clients/port.ts'
import { type Codecs, codecsBeside, compressionNumber } from './codecs.ts'
import { crc32c } from './crc32c.ts'
import { readBatches, writeBatch } from './record-batch.ts'
import { Writing } from './writing.ts'

const time = 1_800_000_000_000
const none = (): never => {
  throw new Error('nobody asked for this codec')
}
const codecs: Codecs = codecsBeside({ snappy: none, lz4: none })
const all = visibility([])

const written = async (records: readonly KafkaRecord[], compression: Compression = 'none'): Promise<Buffer> => {
  const out = new Writing(1)
  const codec = compression === 'none' ? undefined : codecs(compressionNumber[compression])
  const part = { topic: 't', partition: 0, sequence: 42, records }
  await writeBatch(out, part, { identity: { id: '4711', epoch: 3 }, transactionalId: undefined, compression }, codec)
  return out.written()
}
const pairs = (headers: Readonly<Record<string, string>>): string[] => Object.entries(headers).flat()
const plain = (records: readonly StoredRecord[]): object[] =>
  records.map(({ key, value, ...rest }) => ({
    ...rest,
    key: key === null ? null : Buffer.from(key).toString('hex'),
    value: value === null ? null : Buffer.from(value).toString('hex'),
  }))

const sample: readonly KafkaRecord[] = [
  {
    key: Buffer.from('k1'),
    value: Buffer.from('first'),
    headers: { 'ph-id': 'a', 'content-type': 'text/plain' },
    timestamp: time,
  },
  {
    key: null,
    value: Buffer.from('zweite, größer als 64 Bytes, damit die Länge zwei Bytes braucht'),
    headers: { grüß: '🐦' },
    timestamp: time + 70_000,
  },
  { key: Buffer.from(''), value: null, headers: {}, timestamp: time - 5 },
]

// Made by the encoder of kafkajs 2.2.4.
const golden = [
  '0000000000000000000000bfffffffff028062724b000000000002000001a3185c5000000001a3185d61700000000000001267',
  '00030000002a000000035a000000046b310a6669727374040a70682d6964026118636f6e74656e742d7479706514746578742f',
  '706c61696eae0100e0c508020184017a77656974652c206772c3b6c39f657220616c732036342042797465732c2064616d6974',
  '20646965204cc3a46e6765207a7765692042797465732062726175636874020c6772c3bcc39f08f09f90a60c000904000100',
].join('')

test('a batch has the bytes that other clients give it', async () => {
  expect((await written(sample)).toString('hex')).toBe(golden)
})

test('the checksum is that of RFC 3720, whatever the length and the place', () => {
  expect(crc32c(Buffer.from('123456789'))).toBe(0xe3069283)
  expect(crc32c(Buffer.alloc(32))).toBe(0x8a9136aa)
  expect(crc32c(Buffer.alloc(32, 0xff))).toBe(0x62a8ab43)
  expect(crc32c(Buffer.from([...Array(32).keys()]))).toBe(0x46dd794e)
  expect(crc32c(Buffer.from(`xx${'123456789'}yy`), 2, 11)).toBe(0xe3069283)
  expect(crc32c(Buffer.alloc(0))).toBe(0)
})

const bytes = fc.option(fc.uint8Array({ maxLength: 200 }), { nil: null })
const text = fc.string({ unit: 'grapheme', maxLength: 90 }).filter((each) => each.isWellFormed())
const record = fc.record({
  key: bytes,
  value: bytes,
  headers: fc.dictionary(text, text, { maxKeys: 4 }),
  timestamp: fc.oneof(fc.integer({ min: time - 10_000, max: time + 10_000 }), fc.nat(2 ** 52)),
})

test.each<Compression>(['none', 'gzip', 'zstd'])('what is written by %s is read as it was', async (compression) => {
  await fc.assert(
    fc.asyncProperty(fc.array(record, { minLength: 1, maxLength: 20 }), async (given) => {
      const { records, next } = await readBatches(await written(given, compression), 0, all, codecs)
      expect(next).toBe(given.length)
      expect(plain(records)).toEqual(
        plain(given.map((each, offset) => ({ ...each, headers: pairs(each.headers), offset }))),
      )
    }),
    { seed: 1 },
  )
})

/** As the broker stores a batch: with the offset of its first record. */
const at = (offset: number, batch: Buffer): Buffer => {
  const out = Buffer.from(batch)
  out.writeBigInt64BE(BigInt(offset), 0)
  return out
}
const one = (value: string, headers: Record<string, string> = {}): KafkaRecord => ({
  key: null,
  value: Buffer.from(value),
  headers,
  timestamp: time,
})
const values = (records: readonly StoredRecord[]): string[] => records.map(({ value }) => String(value))

describe('an answer of several batches', () => {
  test('begins in the middle of the first, ends before a torn one', async () => {
    const three = await written([one('a'), one('b'), one('c')])
    const log = Buffer.concat([at(10, three), at(20, three), at(30, three).subarray(0, -1)])
    const { records, next } = await readBatches(log, 11, all, codecs)
    expect(values(records)).toEqual(['b', 'c', 'a', 'b', 'c'])
    expect(records.map(({ offset }) => offset)).toEqual([11, 12, 20, 21, 22])
    expect(next).toBe(23)
  })

  test('goes on past what does not count', async () => {
    const log = Buffer.concat([at(5, await written([one('a')])), at(6, await written([one('b')]))])
    const { records, next } = await readBatches(log, 5, (offset) => offset !== 6, codecs)
    expect(values(records)).toEqual(['a'])
    expect(next).toBe(7)
  })

  test('takes the broker’s time where the topic has it so', async () => {
    const batch = await written([one('a')])
    batch.writeInt16BE(8, 21)
    batch.writeBigInt64BE(BigInt(time + 99), 35)
    const { records } = await readBatches(batch, 0, all, codecs)
    expect(records[0]?.timestamp).toBe(time + 99)
  })
})

describe('headers of neighbours', () => {
  test('that are alike, that differ, that come back', async () => {
    const headers = [{ a: '1', b: '2' }, { a: '1', b: '2' }, { a: '1', b: '3' }, {}, { a: '1', b: '3' }, { a: '1' }]
    const { records } = await readBatches(await written(headers.map((each) => one('x', each))), 0, all, codecs)
    expect(records.map((each) => each.headers)).toEqual(headers.map(pairs))
  })

  test('that repeat a name or have a null value, which says nothing and hides nothing later', async () => {
    // A record with the header pairs as given; null has the length -1.
    const raw = (pairs: readonly (readonly [string, string | null])[]): number[] => {
      const zigzag = (n: number): number => (n < 0 ? 1 : 2 * n)
      const sized = (value: string | null): number[] =>
        value === null ? [zigzag(-1)] : [zigzag(value.length), ...Buffer.from(value)]
      const body = [0, 0, 0, 1, 1, zigzag(pairs.length), ...pairs.flatMap(([a, b]) => [...sized(a), ...sized(b)])]
      return [zigzag(body.length), ...body]
    }
    const rows = [
      [['n', '1']],
      [['n', null]],
      [['n', '1']],
      [
        ['n', '1'],
        ['n', '2'],
      ],
    ] as const
    const content = Buffer.from(rows.flatMap((pairs) => raw(pairs)))
    const head = (await written(rows.map(() => one('x')))).subarray(0, 61)
    const batch = Buffer.concat([head, content])
    batch.writeInt32BE(batch.length - 12, 8)
    const { records } = await readBatches(batch, 0, all, codecs)
    expect(records.map((each) => each.headers)).toEqual([['n', '1'], [], ['n', '1'], ['n', '1', 'n', '2']])
  })
})

describe('what cannot be read is told', () => {
  test('a format from before Kafka 0.11', async () => {
    const batch = await written([one('a')])
    batch[16] = 1
    await expect(readBatches(batch, 0, all, codecs)).rejects.toThrow(/format 1, from before Kafka 0.11/)
  })

  test('lengths that do not fit', async () => {
    const batch = await written([one('a', { name: 'value' })])
    const told = new Set<string | undefined>()
    for (let i = 61; i < batch.length; i++) {
      const broken = Buffer.from(batch)
      broken[i] = 0x7e
      await readBatches(broken, 0, all, codecs).catch((error: { type?: string }) => told.add(error.type))
    }
    expect([...told]).toEqual(['CORRUPT_MESSAGE'])
  })

  test('a codec that nobody knows', async () => {
    const batch = await written([one('a')])
    batch.writeInt16BE(7, 21)
    await expect(readBatches(batch, 0, all, codecs)).rejects.toThrow(/unknown codec 7/)
  })
})
