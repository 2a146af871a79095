import fc from 'fast-check'
import { expect, test } from 'vitest'
import { assign, decodeAssignment, decodeMembership, encodeAssignment, encodeMembership } from './assignment.ts'
import type { Partition } from './clients/port.ts'

const unitOf = (topic: string): string => topic.split('.-.')[0] as string
const key = ({ topic, partition }: Partition): string => `${partition}/${topic}`

/** Lets a group go from one set of members to the next until it is at rest, as the protocol does. */
function settle(
  members: Map<string, Partition[]>,
  topics: readonly string[],
  partitions: ReadonlyMap<string, number>,
): number {
  for (let round = 1; ; round++) {
    const given = assign({
      members: [...members].map(([member, owned]) => ({ member, topics, owned })),
      partitions,
      unitOf,
    })
    const before = new Map([...members].flatMap(([member, owned]) => owned.map((each) => [key(each), member])))
    let resting = true
    const seen = new Set<string>()
    for (const [member, list] of given) {
      for (const each of list) {
        expect(seen.has(key(each)), 'two have one partition').toBe(false)
        seen.add(key(each))
        const owner = before.get(key(each))
        expect(owner === undefined || owner === member, 'given on before it was let go').toBe(true)
      }
      if (list.length !== members.get(member)?.length) resting = false
      members.set(member, list)
    }
    if (resting) return round
    expect(round).toBeLessThan(10)
  }
}

test('members come and go: nobody gets what another holds, all is read in the end, in equal shares', () => {
  fc.assert(
    fc.property(
      fc.array(fc.tuple(fc.constantFrom('join', 'leave'), fc.nat(5)), { minLength: 1, maxLength: 8 }),
      fc.integer({ min: 1, max: 9 }),
      (changes, count) => {
        const topics = ['orders', 'orders.-.g.-.retry-10s']
        const partitions = new Map(topics.map((topic) => [topic, count]))
        const members = new Map<string, Partition[]>([['m0', []]])
        for (const [what, n] of changes) {
          if (what === 'join') members.set(`m${n}`, members.get(`m${n}`) ?? [])
          else if (members.size > 1) members.delete(`m${n}`)
          settle(members, topics, partitions)
          const shares = [...members.values()].map((list) => list.length / 2)
          expect(shares.reduce((sum, share) => sum + share, 0)).toBe(count)
          expect(Math.max(...shares) - Math.min(...shares)).toBeLessThanOrEqual(1)
          // A topic and its retry topic keep together, or a redriven message of a key would run beside the key's others.
          for (const list of members.values())
            expect(
              list
                .filter(({ topic }) => topic === 'orders')
                .map(({ partition }) => partition)
                .sort(),
            ).toEqual(
              list
                .filter(({ topic }) => topic !== 'orders')
                .map(({ partition }) => partition)
                .sort(),
            )
        }
      },
    ),
    { seed: 1 },
  )
})

test('who stays keeps what it has: one more member moves no more than its share', () => {
  const partitions = new Map([['t', 12]])
  const members = new Map<string, Partition[]>([
    ['a', []],
    ['b', []],
  ])
  settle(members, ['t'], partitions)
  const before = new Map([...members].flatMap(([member, list]) => list.map((each) => [key(each), member])))
  members.set('c', [])
  settle(members, ['t'], partitions)
  const moved = [...members].flatMap(([member, list]) => list.filter((each) => before.get(key(each)) !== member))
  expect(moved.length).toBe(4)
})

test('what two members claim goes to neither', () => {
  const claim = [{ topic: 't', partition: 0 }]
  const members = ['a', 'b'].map((member) => ({ member, topics: ['t'], owned: claim }))
  const given = assign({ members, partitions: new Map([['t', 1]]), unitOf })
  expect([...given.values()].flat()).toEqual([])
})

test('members of one group may read different topics', () => {
  const members = [
    { member: 'a', topics: ['one'], owned: [] },
    { member: 'b', topics: ['two'], owned: [] },
  ]
  const given = assign({
    members,
    partitions: new Map([
      ['one', 2],
      ['two', 2],
    ]),
    unitOf,
  })
  expect(given.get('a')?.map(key)).toEqual(['0/one', '1/one'])
  expect(given.get('b')?.map(key)).toEqual(['0/two', '1/two'])
})

test('what is told to the group is read again', () => {
  const partition = fc.record({ topic: fc.constantFrom('a', 'b.c', 'ü'), partition: fc.nat(1_000) })
  const list = fc.uniqueArray(partition, { selector: key, maxLength: 10 })
  const sorted = (some: readonly Partition[]): string[] => some.map(key).sort()
  fc.assert(
    fc.property(fc.array(fc.string(), { maxLength: 3 }), list, (topics, owned) => {
      const membership = decodeMembership(encodeMembership({ topics, owned, note: { a: [1, 'x'] } }))
      expect(membership.topics).toEqual(topics)
      expect(membership.note).toEqual({ a: [1, 'x'] })
      expect(sorted(membership.owned)).toEqual(sorted(owned))
      const assignment = decodeAssignment(encodeAssignment({ partitions: owned, note: { b: 2 } }))
      expect(assignment.note).toEqual({ b: 2 })
      expect(sorted(assignment.partitions)).toEqual(sorted(owned))
    }),
    { seed: 1 },
  )
})

test('a member that is not ours owns nothing', () => {
  // Version 0 of Kafka's own: topics and bytes that are no JSON.
  const foreign = Buffer.from([0, 0, 0, 0, 0, 1, 0, 1, 0x74, 0, 0, 0, 1, 0xff])
  expect(decodeMembership(foreign)).toEqual({ topics: ['t'], owned: [], note: undefined })
})
