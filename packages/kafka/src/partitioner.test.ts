import { expect, test } from 'vitest'
import { murmur2, partitionOfKey } from './partitioner.ts'

// What org.apache.kafka.common.utils.Utils.murmur2 gives, from Kafka's own tests.
const golden: readonly (readonly [string, number])[] = [
  ['21', -973_932_308],
  ['foobar', -790_332_482],
  ['a-little-bit-long-string', -985_981_536],
  ['a-little-bit-longer-string', -1_486_304_829],
  ['lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8', -58_897_971],
  ['abc', 479_470_107],
]

test.each(golden)('murmur2 of %s is as in Java', (key, hash) => {
  expect(murmur2(Buffer.from(key))).toBe(hash)
})

// Where Java's producer put them, of five partitions.
const placed: readonly (readonly [string, number])[] = [
  ['a', 4],
  ['b', 1],
  ['c', 4],
  ['hello', 4],
  ['key-1', 0],
  ['key-2', 2],
]

test.each(placed)('the key %s lies in partition %i of five, as Java’s producer puts it', (key, partition) => {
  expect(partitionOfKey(Buffer.from(key), 5)).toBe(partition)
})

test('a view into a larger buffer counts alone', () => {
  const whole = Buffer.from('..foobar..')
  expect(murmur2(whole.subarray(2, 8))).toBe(murmur2(Buffer.from('foobar')))
})
