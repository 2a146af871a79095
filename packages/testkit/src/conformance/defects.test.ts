import type { Adapter } from '@posthorn/core'
import { type Clock, planOf } from '@posthorn/core/driver'
import { memory } from '@posthorn/memory'
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest'
import { type DefectName, defectNames } from '../defects/defects.ts'
import { always, once } from '../defects/place.ts'
import { chapters, scenarioNamed } from './chapters.ts'
import { faceDefects } from './face-defects.ts'
import type { Harness } from './harness.ts'
import { type Found, killers } from './killers.ts'
import { killOf } from './kills.ts'
import { harnessWith, runScenario } from './outcome.ts'
import { seeds } from './seeded.ts'
import { storeDefects, withStoreDefect } from './store-defects.ts'
import { foundWithoutHistory, withoutHistory } from './without-history.ts'

const harness: Harness = {
  name: 'memory',
  adapter: (): Adapter => memory(),
  pass: (adapter, ms) => (planOf(adapter).clock as Clock & { advance(ms: number): Promise<void> }).advance(ms),
  patienceMs: 1_000,
  quietMs: 20,
}
const places = { own: undefined, always, once } as const
const pairs = Object.entries(killers as Readonly<Record<string, Found>>).flatMap(([name, found]) =>
  (Object.keys(places) as (keyof Found)[]).flatMap((place) =>
    (found[place] ?? []).map((id) => ({ id, defect: name as DefectName, place: places[place], where: place })),
  ),
)

vi.setConfig({ maxConcurrency: 16 })

// A hung call is what some defects are about; what waits for it in core may reject when the scenario has gone.
const ignore = (): void => {}
beforeAll(() => void process.on('unhandledRejection', ignore))
afterAll(() => void process.off('unhandledRejection', ignore))

test('every defect is found by some scenario, and at least 200 scenarios find one', () => {
  // A broker in memory loses no answer, so there is no unknown outcome to tell wrongly.
  expect(Object.keys(killers).sort()).toEqual(defectNames.filter((name) => name !== 'unknown-as-failed').sort())
  expect(new Set(pairs.map(({ id }) => id)).size).toBeGreaterThanOrEqual(200)
  const ids = new Set(chapters.flatMap(({ scenarios }) => scenarios.map(({ id }) => id)))
  expect(pairs.filter(({ id }) => !ids.has(id))).toEqual([])
})

test('every scenario finds a defect', () => {
  const found = new Set([
    ...pairs.map(({ id }) => id),
    ...Object.values({ ...storeDefects, ...faceDefects }).flatMap((defect) => defect.found),
    ...Object.keys(foundWithoutHistory),
    ...Object.values(seeds).flatMap((set) => Object.keys(set)),
  ])
  const ids = chapters.flatMap(({ scenarios }) => scenarios.map(({ id }) => id))
  expect(ids.filter((id) => !found.has(id))).toEqual([])
})

describe.concurrent('found', () => {
  for (const { id, defect, place, where } of pairs) {
    test(`${defect} (${where}) by ${id}`, { timeout: 60_000 }, async () => {
      const scenario = scenarioNamed(id)
      expect.assert(scenario !== undefined)
      const clean = await runScenario(scenario, { ...harness, patienceMs: 15_000 })
      expect(clean.outcome).toBe('passed')
      let kill = await killOf(scenario, harness, { defect, place })
      // What is about 300 ms can be missed by a machine that stands still for longer; what is never found is never found thrice.
      for (let again = 0; again < 2 && !kill.killed; again++) kill = await killOf(scenario, harness, { defect, place })
      expect(kill, 'the scenario did not find the defect').toMatchObject({ killed: true })
    })
  }
})

describe.concurrent('found at the face', () => {
  for (const [name, { sentence, wrap, found }] of Object.entries(faceDefects))
    for (const id of found)
      test(`${name} (${sentence}) by ${id}`, { timeout: 60_000 }, async () => {
        const scenario = scenarioNamed(id)
        expect.assert(scenario !== undefined)
        expect(await runScenario(scenario, { ...harness, patienceMs: 15_000 })).toEqual({ outcome: 'passed' })
        expect(await runScenario(scenario, { ...harness, face: wrap })).toMatchObject({
          outcome: 'failed',
          inSetUp: false,
        })
      })
})

describe.concurrent('found where nothing is kept', () => {
  const forgetful = harnessWith(harness, withoutHistory)
  for (const [id, name] of Object.entries(foundWithoutHistory))
    test(`${name} by ${id}`, async () => {
      const scenario = scenarioNamed(id)
      expect.assert(scenario !== undefined)
      expect(await runScenario(scenario, { ...forgetful, patienceMs: 15_000 })).toEqual({ outcome: 'passed' })
      const face = faceDefects[name]?.wrap
      if (face === undefined)
        expect(await killOf(scenario, forgetful, { defect: name as DefectName, place: always })).toMatchObject({
          killed: true,
        })
      else
        expect(await runScenario(scenario, { ...forgetful, face })).toMatchObject({ outcome: 'failed', inSetUp: false })
    })
})

describe.concurrent('found in stores', () => {
  for (const [name, { sentence, found }] of Object.entries(storeDefects))
    for (const id of found)
      test(`${name} (${sentence}) by ${id}`, { timeout: 60_000 }, async () => {
        const scenario = scenarioNamed(id)
        expect.assert(scenario !== undefined)
        const outcome = await runScenario(
          scenario,
          harnessWith(harness, (adapter) => withStoreDefect(adapter, name)),
        )
        expect(outcome).toMatchObject({ outcome: 'failed', inSetUp: false })
      })

  test('every scenario of a store finds a defect', () => {
    const found = new Set(Object.values(storeDefects).flatMap((defect) => defect.found))
    const all = chapters
      .flatMap(({ scenarios }) => scenarios.map(({ id }) => id))
      .filter((id) => id.startsWith('stores.'))
    expect(all.filter((id) => !found.has(id))).toEqual([])
  })
})
