import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { manualClock } from '../../test/manual-clock.ts'
import { systemClock } from '../driver/clock.ts'
import { aloneGate } from './alone.ts'
import { type LaneItem, lanes } from './lanes.ts'

interface Item extends LaneItem {
  readonly n: number
}
const item = (n: number, lane: string | undefined, alone = false): Item => ({ n, lane, alone })

/** Lanes whose items end when the test says so. */
function bench(concurrency: number) {
  const running: Item[] = []
  const started: Item[] = []
  let most = 0
  const all = lanes<Item>(
    concurrency,
    (each) => {
      running.push(each)
      started.push(each)
      most = Math.max(most, running.length)
    },
    aloneGate(systemClock),
  )
  const finish = (at: number): void => {
    const [each] = running.splice(at % running.length, 1)
    if (each !== undefined) all.done(each)
  }
  return { all, running, started, finish, most: () => most }
}

describe('lanes', () => {
  it('run one of a lane at a time, in order, lanes beside each other, never more than the concurrency', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 5 }),
        fc.array(fc.option(fc.constantFrom('a', 'b', 'c'), { nil: undefined }), { minLength: 1, maxLength: 60 }),
        fc.array(fc.nat(), { maxLength: 200 }),
        (concurrency, keys, picks) => {
          const { all, running, started, finish, most } = bench(concurrency)
          const pick = picks[Symbol.iterator]()
          for (const [n, lane] of keys.entries()) {
            all.add(item(n, lane))
            const at = pick.next().value
            if (at !== undefined && at % 2 === 0 && running.length > 0) finish(at)
            const lanesRunning = running.map((each) => each.lane).filter((each) => each !== undefined)
            expect(new Set(lanesRunning).size).toBe(lanesRunning.length)
          }
          while (running.length > 0) finish(pick.next().value ?? 0)
          expect(started.length).toBe(keys.length)
          expect(most()).toBeLessThanOrEqual(concurrency)
          for (const lane of ['a', 'b', 'c']) {
            const order = started.filter((each) => each.lane === lane).map((each) => each.n)
            expect(order).toEqual([...order].sort((x, y) => x - y))
          }
          expect([all.running(), all.waiting()]).toEqual([0, 0])
        },
      ),
      { seed: 1, numRuns: 500 },
    )
  })

  it('let nothing run beside an item that is alone, and go on after it', () => {
    const { all, running, finish } = bench(4)
    all.add(item(1, undefined))
    all.add(item(2, undefined, true))
    all.add(item(3, undefined))
    expect(running.map((each) => each.n)).toEqual([1])
    finish(0)
    expect(running.map((each) => each.n)).toEqual([2])
    finish(0)
    expect(running.map((each) => each.n)).toEqual([3])
  })

  it('keep the lane of a suspended item, but not its slot', () => {
    const { all, running, started } = bench(1)
    const first = item(1, 'a')
    all.add(first)
    all.add(item(2, 'a'))
    all.add(item(3, 'b'))
    all.suspend(first)
    running.splice(0, 1)
    expect(started.map((each) => each.n)).toEqual([1, 3])
    all.done(running.pop() as Item)
    expect(started.map((each) => each.n)).toEqual([1, 3])
    all.resume(first)
    expect(started.map((each) => each.n)).toEqual([1, 3, 1])
    all.done(first)
    expect(started.map((each) => each.n)).toEqual([1, 3, 1, 2])
  })

  it('count a suspended item that does not come back as running no more, and let its lane go on', () => {
    const { all, running, started } = bench(1)
    const first = item(1, 'a')
    all.add(first)
    all.add(item(2, 'a'))
    all.suspend(first)
    running.length = 0
    expect(all.running()).toBe(0)
    all.release(first)
    expect(started.map((each) => each.n)).toEqual([1, 2])
    expect(all.running()).toBe(1)
    all.done(running.pop() as Item)
    expect(all.running()).toBe(0)
  })

  it('give out what has not started, and free its lanes', () => {
    const { all, running, finish } = bench(1)
    all.add(item(1, 'a'))
    all.add(item(2, 'a'))
    all.add(item(3, 'b'))
    all.add(item(4, 'b'))
    expect(all.clear().map((each) => each.n)).toEqual([3, 2, 4])
    finish(0)
    all.add(item(5, 'a'))
    finish(0)
    all.add(item(6, 'b'))
    expect(running.map((each) => each.n)).toEqual([6])
  })

  it('give out what waits behind an item of its lane, and nothing else', () => {
    const { all, started, finish } = bench(2)
    for (const [n, lane] of ['a', 'a', 'b', 'a'].entries()) all.add(item(n, lane))
    expect(all.clearLane('a').map((each) => each.n)).toEqual([1, 3])
    finish(0)
    finish(0)
    expect(started.map((each) => each.n)).toEqual([0, 2])
  })
})

describe('suspects of several consumers', () => {
  function company() {
    const clock = manualClock()
    const gate = aloneGate(clock)
    const running = new Set<string>()
    const of = (name: string) => {
      const all = lanes<Item>(2, ({ n }) => void running.add(`${name}${n}`), gate)
      const add = (n: number, alone = false) => {
        const each = item(n, undefined, alone)
        all.add(each)
        return (): void => {
          running.delete(`${name}${n}`)
          all.done(each)
        }
      }
      return { add, clear: () => all.clear() }
    }
    return { clock, of, running: () => [...running].sort() }
  }

  it('run one at a time, and a turn that nobody can use goes to the next', () => {
    const { of, running } = company()
    const [a, b, c] = [of('a'), of('b'), of('c')]
    const end = a.add(1, true)
    b.add(2, true)
    c.add(3, true)
    expect(running()).toEqual(['a1'])
    b.clear()
    end()
    expect(running()).toEqual(['c3'])
  })

  it('run when nothing runs in the other consumers, and the others go on when they have ended', () => {
    const { of, running } = company()
    const [a, b] = [of('a'), of('b')]
    const endB1 = b.add(1)
    const endA = a.add(1, true)
    const endB2 = b.add(2)
    expect(running()).toEqual(['b1'])
    endB1()
    expect(running()).toEqual(['a1'])
    endA()
    expect(running()).toEqual(['b2'])
    // The others have their turn before the next suspect.
    a.add(2, true)
    expect(running()).toEqual(['b2'])
    endB2()
    expect(running()).toEqual(['a2'])
  })

  it('do not wait for ever, and are not waited for for ever', async () => {
    const { clock, of, running } = company()
    const [a, b] = [of('a'), of('b')]
    b.add(1)
    a.add(1, true)
    await clock.advance(999)
    expect(running()).toEqual(['b1'])
    await clock.advance(1)
    expect(running()).toEqual(['a1', 'b1'])
    b.add(2)
    await clock.advance(4_999)
    expect(running()).toEqual(['a1', 'b1'])
    await clock.advance(1)
    expect(running()).toEqual(['a1', 'b1', 'b2'])
  })

  it('that are given up while they wait keep nobody waiting', () => {
    const { of, running } = company()
    const [a, b] = [of('a'), of('b')]
    const endB1 = b.add(1)
    a.add(1, true)
    b.add(2)
    a.clear()
    endB1()
    expect(running()).toEqual(['b2'])
  })
})
