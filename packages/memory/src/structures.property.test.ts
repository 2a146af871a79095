import fc from 'fast-check'
import { expect, test } from 'vitest'
import { heap } from './heap.ts'
import { Ring } from './ring.ts'

const runs = { seed: 20_261_121, numRuns: 300 }

test('a ring does what an array does, at both ends and in its middle', () => {
  const step = fc.oneof(
    fc.record({ do: fc.constant('push' as const), n: fc.nat(99) }),
    fc.record({ do: fc.constant('unshift' as const), n: fc.nat(99) }),
    fc.record({ do: fc.constant('insert' as const), n: fc.nat(99) }),
    fc.record({ do: fc.constant('shift' as const), n: fc.constant(0) }),
    fc.record({ do: fc.constant('retain' as const), n: fc.nat(3) }),
  )
  fc.assert(
    fc.property(fc.array(step, { maxLength: 120 }), (steps) => {
      const ring = new Ring<number>()
      let model: number[] = []
      for (const { do: what, n } of steps) {
        if (what === 'push') {
          ring.push(n)
          model.push(n)
        } else if (what === 'unshift') {
          ring.unshift(n)
          model.unshift(n)
        } else if (what === 'shift') expect(ring.shift()).toBe(model.shift())
        else if (what === 'retain') {
          ring.retain((each) => each % 4 !== n)
          model = model.filter((each) => each % 4 !== n)
        } else {
          ring.insert(n, (other) => other > n)
          const at = model.findIndex((other) => other > n)
          model.splice(at < 0 ? model.length : at, 0, n)
        }
        expect([...ring]).toEqual(model)
        expect(ring.length).toBe(model.length)
        expect(ring.peek()).toBe(model[0])
      }
    }),
    runs,
  )
})

test('a heap gives the earliest first, and of the same time who came first', () => {
  const times = fc.array(fc.nat(20), { maxLength: 80 })
  fc.assert(
    fc.property(times, fc.nat(3), (list, dropped) => {
      const made = heap<{ readonly at: number; readonly seq: number }>()
      const model = list.map((at, seq) => ({ at, seq }))
      for (const each of model) made.push(each)
      made.retain(({ seq }) => seq % 4 !== dropped)
      const want = model.filter(({ seq }) => seq % 4 !== dropped).sort((a, b) => a.at - b.at || a.seq - b.seq)
      expect(made.size).toBe(want.length)
      const got = want.map(() => made.pop())
      expect(got).toEqual(want)
      expect(made.pop()).toBeUndefined()
    }),
    runs,
  )
})
