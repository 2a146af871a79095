import { expect, it } from 'vitest'
import { poisonRun } from './poison.ts'

it.each([
  ['kill', 'none'],
  ['kill', 'key'],
  ['hang', 'none'],
  ['memory', 'none'],
] as const)(
  'a message that ends its process is quarantined; no neighbour of its window is, or loses a try: by %s, order %s',
  { timeout: 180_000 },
  async (how, order) => {
    const { deaths, letters, missing, twice, disordered } = await poisonRun({ messages: 500, order, how })
    expect(letters).toEqual({ m250: 'poison' })
    expect({ missing, twice, disordered }).toEqual({ missing: 0, twice: 0, disordered: 0 })
    // Five deliveries with the others, three alone; of the five some may end with the lease of a process that is slow to die.
    expect(deaths).toBeLessThanOrEqual(8)
    expect(deaths).toBeGreaterThanOrEqual(how === 'kill' ? 8 : 4)
  },
)
