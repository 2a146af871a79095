import { describe, expect, it } from 'vitest'
import { fixed } from '../backoff.ts'
import { Unrecoverable } from '../retry.ts'
import { ack, nack, reject } from '../verdict.ts'
import { decide, type Ended, type Standing, withFailure } from './outcome.ts'

const standing = (over: Partial<Standing> = {}): Standing => ({
  attempt: 1,
  failures: 0,
  policy: { attempts: 3, inPlace: undefined, backoff: fixed(100), when: undefined },
  onFailure: 'skip',
  now: 7,
  ...over,
})
const threw = (error: unknown): Ended => ({ threw: error })

describe('the outcome policy', () => {
  it('acknowledges what was acknowledged', () => {
    expect(decide({ verdict: ack() }, standing())).toEqual({ do: 'ack' })
  })

  it('tries again after the back-off until the tries are used up, then buries with the cause', () => {
    const error = new Error('no money')
    expect(decide(threw(error), standing())).toMatchObject({
      do: 'again',
      afterMs: 100,
      failure: { attempt: 1, at: 7, error: 'Error: no money' },
    })
    expect(decide(threw(error), standing({ attempt: 2, failures: 1 }))).toMatchObject({ do: 'again' })
    expect(decide(threw(error), standing({ attempt: 3, failures: 2 }))).toMatchObject({
      do: 'bury',
      letter: { reason: 'attempts', attempts: 3, error: 'Error: no money' },
    })
  })

  it('lets nack() choose the wait and use up a try', () => {
    expect(decide({ verdict: nack({ afterMs: 5 }) }, standing())).toMatchObject({ do: 'again', afterMs: 5 })
    expect(decide({ verdict: nack() }, standing({ failures: 2 }))).toMatchObject({
      do: 'bury',
      letter: { reason: 'attempts' },
    })
  })

  it('buries at once what is rejected, unrecoverable, or not to be retried', () => {
    expect(decide({ verdict: reject('old') }, standing())).toMatchObject({
      do: 'bury',
      letter: { reason: 'rejected', error: 'old' },
    })
    expect(decide(threw(new Unrecoverable('never')), standing())).toMatchObject({
      do: 'bury',
      letter: { reason: 'rejected' },
    })
    const policy = { ...standing().policy, when: (error: unknown) => error !== 'no' }
    expect(decide(threw('no'), standing({ policy }))).toMatchObject({ do: 'bury', letter: { reason: 'rejected' } })
    expect(decide(threw('yes'), standing({ policy }))).toMatchObject({ do: 'again' })
  })

  it('retries where the policy itself throws, and whatever was thrown', () => {
    const when = (): boolean => {
      throw new Error('policy')
    }
    expect(decide(threw('x'), standing({ policy: { ...standing().policy, when } }))).toMatchObject({ do: 'again' })
    expect(decide(threw(undefined), standing())).toMatchObject({
      do: 'again',
      failure: { error: 'undefined was thrown' },
    })
  })

  it.each([
    [{ a: 1 }, '{"a":1}'],
    [
      { status: 500, body: { password: 'hunter2', apiKey: 'x' } },
      '{"status":500,"body":{"password":"***","apiKey":"***"}}',
    ],
    [{ text: 'x'.repeat(5_000) }, `{"text":"${'x'.repeat(191)}…`],
    [{ big: 5n }, '{"big":"5n"}'],
    [{ toString: (): string => 'own words' }, 'own words'],
    [[1, 2], '1,2'],
  ])('shows what is in a thrown object, bounded and without secrets: %#', (thrown, error) => {
    expect(decide(threw(thrown), standing())).toMatchObject({ failure: { error } })
  })

  it('looks at little of what is huge, and survives what holds itself', () => {
    const huge = Array.from({ length: 100 }, () => Array.from({ length: 1_000 }, (_, n) => ({ n })))
    const looked = decide(threw({ huge }), standing())
    expect(looked.do === 'again' && looked.failure.error.length).toBeLessThan(210)
    const ring: { self?: unknown } = {}
    ring.self = ring
    expect(decide(threw(ring), standing())).toMatchObject({ do: 'again', failure: { error: expect.any(String) } })
  })

  it('parks or blocks a key instead, where asked', () => {
    expect(decide(threw('x'), standing({ failures: 2, onFailure: 'park' }))).toMatchObject({ do: 'park' })
    expect(decide(threw('x'), standing({ failures: 200, onFailure: 'block' }))).toMatchObject({ do: 'again' })
    expect(decide({ verdict: reject('r') }, standing({ onFailure: 'park' }))).toMatchObject({ do: 'bury' })
  })

  it('keeps the last ten failures, each bounded', () => {
    let history: ReturnType<typeof withFailure> = []
    for (let attempt = 1; attempt <= 15; attempt++) history = withFailure(history, { attempt, at: 0, error: 'x' })
    expect(history.map(({ attempt }) => attempt)).toEqual([6, 7, 8, 9, 10, 11, 12, 13, 14, 15])
    const long = decide(threw(new Error('y'.repeat(5_000))), standing())
    expect(long.do === 'again' && long.failure.error.length).toBe(500)
  })
})
