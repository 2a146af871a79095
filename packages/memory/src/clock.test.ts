import { pause } from '@posthorn/core/driver'
import { describe, expect, test } from 'vitest'
import { steerableClock } from './clock.ts'

describe('a clock that can be moved', () => {
  test('stands still, then fires in order, each timer at its own time', async () => {
    const clock = steerableClock(true)
    const start = clock.now()
    const seen: string[] = []
    for (const ms of [300, 100, 200]) clock.after(ms, () => seen.push(`${ms}@${clock.now() - start}`))
    await clock.advance(0)
    expect(seen).toEqual([])
    await clock.advance(250)
    expect(seen).toEqual(['100@100', '200@200'])
    expect(clock.now() - start).toBe(250)
    await clock.advance(900_000)
    expect(seen).toEqual(['100@100', '200@200', '300@300'])
    expect(clock.now() - start).toBe(900_250)
  })

  test('lets promises run between, so that what a timer starts falls due within the same advance', async () => {
    const clock = steerableClock(true)
    const seen: number[] = []
    const start = clock.now()
    const work = (async () => {
      for (let n = 0; n < 5; n++) {
        await pause(clock, 60_000)
        seen.push(clock.now() - start)
      }
    })()
    await clock.advance(300_000)
    await work
    expect(seen).toEqual([60_000, 120_000, 180_000, 240_000, 300_000])
  })

  test('what was cancelled does not fire, and does not pile up', async () => {
    const clock = steerableClock(true)
    let fired = 0
    for (let n = 0; n < 10_000; n++) clock.after(10_000, () => fired++)()
    clock.after(10_000, () => fired++)
    await clock.advance(10_000)
    expect(fired).toBe(1)
  })

  test('running, it is real time plus what it was moved on by, and never early', async () => {
    const clock = steerableClock(false)
    const due = clock.now() + 3_600_000
    let at = 0
    clock.after(3_600_000, () => {
      at = clock.now()
    })
    await clock.advance(3_600_000)
    expect(at).toBeGreaterThanOrEqual(due)
    const start = clock.now()
    await new Promise<void>((resolve) => clock.after(20, resolve))
    expect(clock.now() - start).toBeGreaterThanOrEqual(20)
  })

  test('time does not go back', async () => {
    await expect(steerableClock(true).advance(-1)).rejects.toThrow(RangeError)
  })
})
