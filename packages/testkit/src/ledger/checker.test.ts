import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { check } from './checker.ts'
import { cleanHistory, type HistoryOptions, randomFrom } from './clean-history.ts'
import type { Entry } from './entries.ts'
import { type FindingName, findingNames } from './findings.ts'
import { mutations } from './mutations.ts'
import { format } from './report.ts'

const groups = ['billing', 'shipping']
const found = (entries: Iterable<Entry>, options = {}): FindingName[] => {
  const { findings, ok } = check(entries, { groups, ...options })
  const names = (Object.keys(findings) as FindingName[]).filter((name) => findings[name].count > 0)
  expect(ok).toBe(names.length === 0)
  return names
}
const histories: fc.Arbitrary<HistoryOptions> = fc.record({
  seed: fc.integer(),
  messages: fc.integer({ min: 12, max: 120 }),
  keys: fc.integer({ min: 1, max: 10 }),
  groups: fc.constantFrom(['billing'], groups),
  faultEvery: fc.integer({ min: 5, max: 50 }),
})

describe('a clean history', () => {
  test('has no finding, whatever its seed', () => {
    fc.assert(
      fc.property(histories, (options) => {
        expect(found(cleanHistory(options), { groups: options.groups })).toEqual([])
      }),
      { seed: 1, numRuns: 500 },
    )
  })
  test('has none in any order in which its files are read', () => {
    fc.assert(
      fc.property(histories, fc.integer(), (options, seed) => {
        const random = randomFrom(seed)
        const history = cleanHistory(options)
        // A writer's own lines keep their order; consumers' lines may come before the producer's.
        const [mine, theirs] = [
          ['intent', 'outcome', 'end'],
          ['delivery', 'effect', 'ack', 'letter'],
        ].map((kinds) => history.filter((entry) => kinds.includes(entry.e))) as [Entry[], Entry[]]
        const mixed = random() < 0.5 ? [...theirs, ...mine] : [...mine, ...theirs]
        expect(found(mixed, { groups: options.groups })).toEqual([])
      }),
      { seed: 2, numRuns: 200 },
    )
  })
  test('is told in figures', () => {
    const { ok, counts, lateness, faults } = check(
      cleanHistory({ seed: 7, messages: 12, keys: 1, groups, faultEvery: 12 }),
    )
    expect(ok).toBe(true)
    expect(counts).toEqual({
      attempted: 12,
      acknowledged: 8,
      failed: 1,
      unknown: 2,
      cancelled: 1,
      rolledBack: 1,
      deliveries: 14,
      duplicateDeliveries: 2,
      effects: 10,
      letters: 3,
      torn: 0,
    })
    expect(lateness.healthy?.count ?? 0).toBe(0)
    expect(lateness.afterHeal?.count).toBe(2)
    expect(faults).toMatchObject([{ name: 'reset', lastedMs: 500 }])
  })
})

describe('every mutation', () => {
  test('there are at least 20, of every kind of finding that a history can show', () => {
    expect(mutations.length).toBeGreaterThanOrEqual(20)
    expect(new Set(mutations.map((mutation) => mutation.name)).size).toBe(mutations.length)
    const figures: FindingName[] = ['late', 'recovery', 'duplicates']
    const kinds = (Object.keys(findingNames) as FindingName[]).filter((name) => !figures.includes(name))
    expect(new Set(mutations.map((mutation) => mutation.finds))).toEqual(new Set(kinds))
  })
  test.each(mutations.map((mutation) => [mutation.name, mutation] as const))(
    '%s: found in every history',
    (_, mutation) => {
      fc.assert(
        fc.property(histories, fc.integer(), (options, seed) => {
          const history = mutation.apply(cleanHistory(options), randomFrom(seed))
          expect(history).toBeDefined()
          const names = found(history ?? [], { groups: options.groups })
          expect(names).toContain(mutation.finds)
        }),
        { seed: 3, numRuns: 100 },
      )
    },
  )
  test('one in 10,000 is found, and nothing else', () => {
    const clean = cleanHistory({ seed: 11, messages: 10_000, keys: 100, groups })
    expect(found(clean)).toEqual([])
    const lose = mutations.find((mutation) => mutation.name === 'lose one')
    for (const seed of [1, 2, 3]) {
      const { findings } = check(lose?.apply(clean, randomFrom(seed)) ?? [], { groups })
      expect(Object.entries(findings).flatMap(([name, { count }]) => (count > 0 ? [[name, count]] : []))).toEqual([
        ['lost', 1],
      ])
    }
  })
})

const base = { e: 'intent', t: 0, id: 'a', topic: 'orders' } as const
const held = { e: 'outcome', t: 1, id: 'a', as: 'ok' } as const
const got = { e: 'delivery', t: 2, id: 'a', group: 'billing' } as const
const did = { e: 'effect', t: 3, id: 'a', group: 'billing' } as const
const end = { e: 'end', t: 100 } as const

describe('judgement', () => {
  const only = { groups: ['billing'] }
  test('a message may be meant for some groups only', () => {
    const meant = { ...base, groups: ['billing'] }
    expect(found([meant, held, got, did, end])).toEqual([])
    expect(found([base, held, got, did, end])).toEqual(['lost'])
  })
  test('groups may be named by topic', () => {
    const byTopic = { groups: { orders: ['billing'], payments: ['ledger'] } }
    expect(found([base, held, got, did, end], byTopic)).toEqual([])
    expect(found([base, held, end], byTopic)).toEqual(['lost'])
  })
  test('a killed writer leaves its last sends open, and that is no finding', () => {
    expect(found([base, got, did], only)).toEqual([])
    expect(found([base, got, did, end], only)).toEqual(['pending'])
    expect(found([base, got, { ...did, t: 11_500 }], only)).toEqual(['pending'])
  })
  test('a send that failed and then went well is acknowledged', () => {
    expect(
      found([base, { ...held, as: 'failed' }, { ...base, t: 1.5 }, { ...held, t: 2 }, got, did, end], only),
    ).toEqual([])
  })
  test('an unknown send may come, not come, and come after a later one of its key', () => {
    const unsure = [
      { ...base, key: 'k', seq: 1 },
      { ...held, as: 'unknown' as const },
    ]
    const later: Entry[] = ['intent', 'outcome', 'effect'].map((e, i) => ({
      ...{ intent: base, outcome: held, effect: did }[e as 'intent'],
      ...(e === 'intent' ? { key: 'k', seq: 2 } : {}),
      id: 'b',
      t: 2 + i,
    })) as Entry[]
    expect(found([...unsure, end], only)).toEqual([])
    expect(found([...unsure, ...later, { ...did, t: 50 }, end], only)).toEqual([])
    const sure = unsure.map((entry) => ({ ...entry, ...(entry.e === 'outcome' ? { as: 'ok' as const } : {}) }))
    expect(found([...sure, ...later, { ...did, t: 50 }, end], only)).toEqual(['order'])
  })
  test('a cancel of which nobody knows may end either way', () => {
    const unsure = { ...held, as: 'cancel-unknown' as const, t: 1.5 }
    expect(found([{ ...base, due: 2 }, held, unsure, end], only)).toEqual([])
    expect(found([{ ...base, due: 2 }, held, unsure, got, did, end], only)).toEqual([])
  })
  test('a rescheduled message goes by its last due time', () => {
    expect(found([{ ...base, due: 50 }, held, { e: 'due', t: 1, id: 'a', due: 2 }, got, did, end], only)).toEqual([])
    expect(found([{ ...base, due: 1 }, held, { e: 'due', t: 1, id: 'a', due: 40 }, got, did, end], only)).toEqual([
      'early',
    ])
  })
  test('five milliseconds between clocks are forgiven, six are not', () => {
    expect(found([{ ...base, due: 7 }, held, got, did, end], only)).toEqual([])
    expect(found([{ ...base, due: 8 }, held, got, did, end], only)).toEqual(['early'])
  })
  test('what is allowed is reported and no reason to fail', () => {
    const { ok, findings } = check([base, held, got, did, { ...did, t: 4 }, end], {
      ...only,
      allow: ['duplicate-effect'],
    })
    expect(ok).toBe(true)
    expect(findings['duplicate-effect']).toMatchObject({ count: 1, allowed: true })
  })
  test('examples are bounded, counts are not', () => {
    const { findings } = check(
      Array.from({ length: 50 }, (_, i): Entry => ({ ...got, id: `x${i}` })),
      only,
    )
    expect(findings.phantom.count).toBe(50)
    expect(findings.phantom.examples).toHaveLength(10)
  })
})

describe('figures', () => {
  const only = { groups: ['billing'] }
  const fault = (begin: number, over: number): Entry[] => [
    { e: 'fault', t: begin, name: 'kill', phase: 'begin' },
    { e: 'fault', t: over, name: 'kill', phase: 'end' },
  ]
  test('recovery counts from the end of the fault to the first acknowledged send and to the drain', () => {
    const run: Entry[] = [
      base,
      held,
      ...fault(1.5, 10),
      { ...base, id: 'b', t: 12 },
      { ...held, id: 'b', t: 40 },
      { ...did, t: 60 },
      { ...did, id: 'b', t: 61 },
      end,
    ]
    expect(check(run).faults).toMatchObject([
      { name: 'kill', atMs: 1.5, lastedMs: 8.5, sendsAfterMs: 30, effectsAfterMs: 50, drainedAfterMs: 50 },
    ])
    expect(found(run, { ...only, limits: { recoveryMs: 30, drainMs: 50 } })).toEqual([])
    expect(found(run, { ...only, limits: { recoveryMs: 29 } })).toEqual(['recovery'])
    expect(found(run, { ...only, limits: { drainMs: 49 } })).toEqual(['recovery'])
  })
  test('around a fault: what was sent and handled before, during and after, until the next one or the end of the load, and the longest stretch without', () => {
    const sent = (id: string, at: number): Entry[] => [
      { ...base, id, t: at },
      { ...held, id, t: at },
      { ...did, id, t: at + 1 },
    ]
    const run: Entry[] = [
      ...sent('too early', 1),
      ...sent('a', 3_990),
      ...fault(4_000, 4_500),
      ...sent('b', 4_100),
      ...sent('c', 4_700),
      ...fault(5_000, 5_500),
      ...sent('when the load is over', 6_000),
      { ...end, t: 7_000 },
    ]
    const flows = check(run, { loadEndsAt: 5_900 }).faults.map(({ sends, effects }) => [sends, effects['billing']])
    expect(flows).toEqual([
      [
        { before: 1, during: 1, after: 1, stalledMs: 600 },
        { before: 1, during: 1, after: 1, stalledMs: 600 },
      ],
      [
        { before: 3, during: 0, after: 0, stalledMs: 1_300 },
        { before: 3, during: 0, after: 0, stalledMs: 1_300 },
      ],
    ])
    const over: Entry[] = [...sent('a', 1), ...fault(5, 10), { ...end, t: 20 }]
    expect(check(over).faults[0]?.sends).toEqual({ before: 1, during: 0, after: 0, stalledMs: undefined })
  })
  test('who never recovers is found, who had nothing to send is not', () => {
    const stuck: Entry[] = [
      base,
      held,
      did,
      ...fault(5, 10),
      { ...base, id: 'b', t: 12 },
      { ...held, id: 'b', as: 'unknown', t: 40 },
      end,
    ]
    expect(check(stuck).faults[0]?.sendsAfterMs).toBeUndefined()
    expect(found(stuck, { ...only, limits: { recoveryMs: 1_000 } })).toEqual(['recovery'])
    const done: Entry[] = [base, held, did, ...fault(5, 10), end]
    expect(check(done).faults[0]?.sendsAfterMs).toBe('untried')
    expect(found(done, { ...only, limits: { recoveryMs: 1_000 } })).toEqual([])
  })
  test('lateness counts from the due time, and from the end of a fault that was in the way', () => {
    const run: Entry[] = [
      { ...base, due: 10 },
      held,
      { ...got, t: 14 },
      { ...did, t: 15 },
      { ...base, id: 'b', due: 30 },
      { ...held, id: 'b' },
      ...fault(25, 50),
      { ...got, id: 'b', t: 57 },
      { ...did, id: 'b', t: 58 },
      end,
    ]
    const { lateness } = check(run)
    expect(lateness.healthy).toEqual({ count: 1, p50: 4, p99: 4, p999: 4, max: 4 })
    expect(lateness.afterHeal).toEqual({ count: 1, p50: 7, p99: 7, p999: 7, max: 7 })
    expect(found(run, { ...only, limits: { latenessP99Ms: 4, latenessAfterHealMs: 7 } })).toEqual([])
    expect(found(run, { ...only, limits: { latenessP99Ms: 3 } })).toEqual(['late'])
    expect(found(run, { ...only, limits: { latenessAfterHealMs: 6 } })).toEqual(['late'])
  })
  test('what is due when the load has ended waits behind the last rush of the senders: its lateness is told apart', () => {
    const run: Entry[] = [base, { ...base, id: 'b', due: 30 }, held, { ...held, id: 'b' }, got, did]
    const late: Entry[] = [
      { ...got, id: 'b', t: 90 },
      { ...did, id: 'b', t: 91 },
      { ...end, t: 100 },
    ]
    const { lateness } = check([...run, ...late], { loadEndsAt: 29 })
    expect(lateness.healthy).toBeUndefined()
    expect(lateness.afterLoad).toMatchObject({ count: 1, max: 60 })
    expect(check([...run, ...late], { loadEndsAt: 30 }).lateness.healthy).toMatchObject({ count: 1, max: 60 })
  })
  test('duplicate deliveries are counted, and limited where a limit is given', () => {
    const run: Entry[] = [base, held, got, { ...got, t: 2.5 }, did, end]
    expect(check(run).counts.duplicateDeliveries).toBe(1)
    expect(found(run, only)).toEqual([])
    expect(found(run, { ...only, limits: { duplicateDeliveries: 0 } })).toEqual(['duplicates'])
  })
})

test('the table says what failed, to what, with examples, and JSON keeps it all', () => {
  const result = check([base, held, end], { groups: ['billing'] })
  const table = format(result)
  expect(table).toMatch(/^NOT CLEAN: 1 sent, 1 acknowledged/)
  expect(table).toMatch(/FAILED {2}lost +1 {2}acknowledged to the sender/)
  expect(table).toMatch(/a: acknowledged on orders, never seen in group billing/)
  expect(format(check([base, held, got, did, end]))).toMatch(/^clean: /)
  expect(JSON.parse(JSON.stringify(result)).findings.lost.count).toBe(1)
})

test('a hundred thousand messages are checked in seconds', () => {
  const history = cleanHistory({ seed: 5, messages: 100_000, keys: 1_000, groups: ['billing'] })
  const start = process.cpuUsage()
  expect(check(history, { groups: ['billing'] }).ok).toBe(true)
  const { user, system } = process.cpuUsage(start)
  // CPU time, ten times what it takes: no machine's mood can fail it, a quadratic rule does.
  expect((user + system) / 1_000).toBeLessThan(10_000)
})
