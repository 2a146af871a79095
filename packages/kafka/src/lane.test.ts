import { type Arrival, systemClock } from '@posthorn/core/driver'
import { expect, test } from 'vitest'
import type { StoredRecord } from './clients/port.ts'
import { type Item, type Lane, lane } from './lane.ts'
import { outlet } from './outlet.ts'
import { beginning, noteOf, type Progress } from './progress.ts'

const place = { topic: 'orders', kafkaTopic: 'orders', partition: 0 }
const record = (offset: number): StoredRecord => ({
  offset,
  timestamp: 0,
  key: null,
  value: Buffer.from('x'),
  headers: [],
})
const records = (count: number): StoredRecord[] => Array.from({ length: count }, (_, offset) => record(offset))

function taken(from: Lane, max: number): Arrival[] {
  const into: Arrival[] = []
  from.take(max, 0, into)
  return into
}
const itemOf = ({ token }: Arrival): Item => token as Item
const offsets = (arrivals: readonly Arrival[]): number[] => arrivals.map((each) => itemOf(each).record.offset)

/** As the next owner finds it after so many that did not end cleanly. */
const crashed = (starts: number): Progress => ({ ...beginning(0), starts })

test('who comes after crashes hands out a window, and no more before the position has moved on the broker', () => {
  const window = 10
  const mine = lane(place, false, 0n, crashed(4), window)
  mine.push(records(40), 40)
  const first = taken(mine, 40)
  expect(offsets(first)).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9])
  expect(first.every(({ deliveryCount }) => deliveryCount === 5)).toBe(true)
  for (const each of first.slice(0, 5)) mine.finish(itemOf(each))
  // What goes back was handed out before.
  mine.putBack(itemOf(first[5] as Arrival), undefined)
  expect(offsets(taken(mine, 40))).toEqual([5])
  mine.committed(mine.progress())
  const rest = taken(mine, 40)
  expect(offsets(rest)).toEqual(Array.from({ length: 30 }, (_, n) => n + 10))
  // None of these can have been started by who crashed.
  expect(rest.every(({ deliveryCount }) => deliveryCount === 1)).toBe(true)
})

test('whoever waits for more after crashes is told when the position has moved, though nothing new comes', async () => {
  const held: Lane[] = []
  const out = outlet(() => held, systemClock, 10)
  const mine = lane(place, false, 0n, crashed(4), 10, out.wake)
  held.push(mine)
  mine.push(records(30), 30)
  const forever = new AbortController().signal
  const first = await out.receive(30, forever)
  await out.settle(first.map(({ token }) => ({ token, verdict: 'ack' })))
  const rest = out.receive(30, forever)
  mine.committed(mine.progress())
  expect(offsets(await rest)).toEqual([10, 11, 12, 13, 14, 15, 16, 17, 18, 19])
})

test('a commit that moves nothing allows nothing more', () => {
  const mine = lane(place, false, 0n, crashed(4), 5)
  mine.push(records(20), 20)
  const first = taken(mine, 20)
  for (const each of first.slice(1)) mine.finish(itemOf(each))
  mine.committed(mine.progress())
  expect(taken(mine, 20)).toEqual([])
})

test('without crashes a lane hands out as much as is asked for', () => {
  const mine = lane(place, false, 0n, beginning(0), 5)
  mine.push(records(20), 20)
  expect(taken(mine, 20).length).toBe(20)
})

test('where no more fits beside the offset, only the lowest is handed out until it has ended', () => {
  const count = 30_000
  const mine = lane(place, false, 0n, beginning(0), count)
  mine.push(records(count), count)
  const all = taken(mine, count).map(itemOf)
  for (let at = 1; at < count - 2; at += 2) mine.finish(all[at] as Item)
  const refused = all[count - 1] as Item
  expect(noteOf(mine.progress(undefined, [refused]))).toBeUndefined()
  mine.crowded()
  mine.putBack(refused, undefined)
  expect(taken(mine, 10)).toEqual([])
  mine.putBack(all[0] as Item, undefined)
  expect(offsets(taken(mine, 10))).toEqual([0])
  // The lower ones end: what is left has room.
  for (let at = count - 10_000; at >= 0; at -= 2) mine.finish(all[at] as Item)
  expect(offsets(taken(mine, 10))).toEqual([refused.record.offset])
})

test('a wide gap in many pieces pauses the reading until it has closed', () => {
  const mine = lane(place, false, 0n, beginning(0), 20_000)
  let paused = false
  mine.reading = {
    topic: 'orders',
    partition: 0,
    offset: 0,
    end: 0,
    pause: () => {
      paused = true
    },
    resume: () => {
      paused = false
    },
    seek: () => {},
    remove: () => {},
  }
  mine.push(records(15_000), 15_000)
  const all = taken(mine, 15_000).map(itemOf)
  // Two of three end: few are left open, in many pieces.
  const left = all.filter((item, at) => at % 3 === 0 || !mine.finish(item))
  mine.push([record(15_000)], 15_001)
  expect(paused).toBe(true)
  for (const item of left) mine.finish(item)
  expect(paused).toBe(false)
})

test('what was finished ahead is not handed out again, and is kept until it is read', () => {
  const mine = lane(place, false, 0n, { ...beginning(0), ahead: [2, 4, 9] }, 10)
  mine.push(records(5), 5)
  expect(offsets(taken(mine, 10))).toEqual([0, 1, 3])
  expect(mine.progress().ahead).toEqual([2, 4, 9])
})
