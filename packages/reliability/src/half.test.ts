import { topic } from '@posthorn/core'
import { describe, expect, it } from 'vitest'
import { askAgainMs, immunityMs } from './half.ts'
import { rig } from './rig.ts'

const paid = topic<{ n: number }>('paid', { groups: ['g'] })

async function reading() {
  const { broker, clock, another } = await rig()
  const seen: number[] = []
  await broker.consume(paid, { group: 'g' }, async ({ body }) => void seen.push(body.n))
  return { broker, clock, another, seen }
}

describe('half messages', () => {
  it('are visible when the work resolves, under the receipt’s id, and not before', async () => {
    const { broker, clock, seen } = await reading()
    broker.checkHalf(paid, async () => 'unknown')
    const { result, receipt } = await broker.producer().sendHalf(paid, { n: 1 }, async ({ id }) => {
      await clock.idle()
      expect(seen).toEqual([])
      return id
    })
    await clock.idle()
    expect(result).toBe(receipt.id)
    expect(seen).toEqual([1])
    await broker.close()
  })

  it('are never visible when the work throws, and the error is the caller’s', async () => {
    const { broker, clock, seen } = await reading()
    broker.checkHalf(paid, async () => 'commit')
    const failing = broker.producer().sendHalf(paid, { n: 1 }, async () => {
      throw new Error('no money')
    })
    await expect(failing).rejects.toThrow('no money')
    await clock.advance(3 * immunityMs)
    expect(seen).toEqual([])
    await broker.close()
  })

  it('are refused where nobody could answer for them', async () => {
    const { broker } = await reading()
    await expect(broker.producer().sendHalf(paid, { n: 1 }, async () => 1)).rejects.toThrow(/checkHalf/)
    await broker.close()
  })

  it.each(['commit', 'rollback'] as const)(
    'of a sender that vanished are settled by the check’s word: %s',
    async (answer) => {
      const { broker, clock, another, seen } = await reading()
      const asked: number[] = []
      broker.checkHalf(paid, async ({ body }) => {
        asked.push(body.n)
        return answer
      })
      const gone = await another()
      gone.checkHalf(paid, async () => 'unknown')
      // Its work never ends: as if the process had died in it.
      void gone.producer().sendHalf(paid, { n: 7 }, () => new Promise(() => {}))
      await clock.idle()
      await clock.advance(immunityMs - 1_000)
      expect(asked).toEqual([])
      await clock.advance(6_000)
      expect(asked.length).toBeLessThanOrEqual(1)
      await clock.advance(askAgainMs)
      expect(seen).toEqual(answer === 'commit' ? [7] : [])
      await broker.close()
    },
  )

  it('tell the work to stop at half of the immunity time', async () => {
    const { broker, clock, another } = await reading()
    const gone = await another()
    gone.checkHalf(paid, async () => 'unknown')
    let signal: AbortSignal | undefined
    void gone.producer().sendHalf(paid, { n: 1 }, (message) => {
      signal = message.signal
      return new Promise(() => {})
    })
    await clock.idle()
    expect(signal?.aborted).toBe(false)
    await clock.advance(immunityMs / 2)
    expect(signal?.aborted).toBe(true)
    await broker.close()
  })

  it('about which nobody can say anything become a dead letter, with an event', async () => {
    const { broker, clock, another, seen } = await reading()
    broker.checkHalf(paid, async () => 'unknown')
    const gone = await another()
    gone.checkHalf(paid, async () => 'unknown')
    void gone.producer().sendHalf(paid, { n: 9 }, () => new Promise(() => {}))
    await clock.idle()
    await clock.advance(immunityMs + 20 * askAgainMs)
    const letters = []
    for await (const letter of broker.deadLetters(paid).list()) letters.push([letter.reason, letter.body?.n])
    expect(letters).toEqual([['unanswered', 9]])
    expect(seen).toEqual([])
    await broker.close()
  })

  it.each([
    ['throws', () => Promise.reject(new Error('no such table')), /the check threw: Error: no such table$/],
    ['answers nonsense', async () => 'committed' as never, /the check answered "committed", which is none of 'commit'/],
  ] as const)('whose check %s say so, in a line and in the dead letter', async (_, check, says) => {
    const lines: string[] = []
    const { broker, clock, another } = await rig({ log: (line) => void lines.push(line) })
    broker.checkHalf(paid, check)
    const gone = await another()
    gone.checkHalf(paid, check)
    void gone.producer().sendHalf(paid, { n: 9 }, () => new Promise(() => {}))
    await clock.idle()
    await clock.advance(immunityMs + 20 * askAgainMs)
    const errors = []
    for await (const letter of broker.deadLetters(paid).list()) errors.push(letter.error)
    expect(errors).toEqual([expect.stringMatching(says)])
    expect(lines).toContainEqual(expect.stringMatching(/the check of half messages of paid .*it counts as 'unknown'$/))
    await broker.close()
  })
})
