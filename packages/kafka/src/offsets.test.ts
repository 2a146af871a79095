import fc from 'fast-check'
import { expect, test } from 'vitest'
import { tracker } from './offsets.ts'

/** Offsets with gaps, as compaction leaves them, and the order in which they are finished. */
const history = fc
  .tuple(fc.nat(1_000), fc.array(fc.integer({ min: 1, max: 5 }), { maxLength: 60 }), fc.infiniteStream(fc.nat()))
  .map(([start, steps, random]) => {
    const offsets: number[] = []
    let at = start
    for (const step of steps) {
      at += step
      offsets.push(at)
    }
    const order = offsets.map((_, i) => i)
    for (let i = order.length - 1; i > 0; i--) {
      const j = (random.next().value as number) % (i + 1)
      ;[order[i], order[j]] = [order[j] as number, order[i] as number]
    }
    return { start, offsets, order }
  })

test('the position is always the lowest unfinished offset, or where reading goes on', () => {
  fc.assert(
    fc.property(history, ({ start, offsets, order }) => {
      const track = tracker(start)
      const places = offsets.map((offset) => track.add(offset))
      const open = new Set(offsets)
      for (const i of order) {
        expect(track.finish(places[i] as number)).toBe(true)
        open.delete(offsets[i] as number)
        const next = (offsets.at(-1) as number) + 1
        expect(track.position).toBe(open.size === 0 ? next : Math.min(...open))
        expect(track.unfinished).toBe(open.size)
        const finished = offsets.filter((offset) => !open.has(offset) && offset > track.position)
        expect(track.ahead()).toEqual(open.size === 0 ? [] : finished)
      }
    }),
    { seed: 1 },
  )
})

test('what would be after some more were finished is what is after they are', () => {
  fc.assert(
    fc.property(history, fc.nat(60), ({ start, offsets, order }, count) => {
      const track = tracker(start)
      const places = offsets.map((offset) => track.add(offset))
      const some = order.slice(0, count).map((i) => places[i] as number)
      const foretold = track.after(new Set(some))
      for (const place of some) track.finish(place)
      expect({ position: track.position, ahead: track.ahead() }).toEqual(foretold)
    }),
    { seed: 1 },
  )
})

test('nothing is finished twice', () => {
  const track = tracker(5)
  const place = track.add(5)
  expect(track.finish(place)).toBe(true)
  expect(track.finish(place)).toBe(false)
})

test('what was left out of the log moves the position only past what is finished', () => {
  const track = tracker(0)
  const place = track.add(0)
  track.reach(10)
  expect(track.position).toBe(0)
  track.finish(place)
  expect(track.position).toBe(10)
})

test('ten thousand finished places are given up', () => {
  const track = tracker(0)
  for (let offset = 0; offset < 10_000; offset++) expect(track.finish(track.add(offset))).toBe(true)
  expect(track.position).toBe(10_000)
  expect(track.finish(3)).toBe(false)
})
