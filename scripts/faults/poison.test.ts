import { expect, it } from 'vitest'
import { poisonRun } from './poison.ts'

it.each(['none', 'key'] as const)(
  'a message that kills its process is quarantined; no neighbour of its window is, or loses a try: order %s',
  { timeout: 120_000 },
  async (order) => {
    const { deaths, letters, missing, twice, disordered } = await poisonRun({ messages: 500, order })
    expect(letters).toEqual({ m250: 'poison' })
    expect({ missing, twice, disordered }).toEqual({ missing: 0, twice: 0, disordered: 0 })
    // Five deliveries with the others, three alone.
    expect(deaths).toBe(8)
  },
)
