import { brokerChapters } from './broker-chapters.ts'
import type { Chapter, Scenario } from './scenario.ts'
import { seamChapters } from './seam-chapters.ts'

/** Every chapter: what a driver shows core, then what users see. */
export const chapters: readonly Chapter[] = [...seamChapters, ...brokerChapters]

/** The scenario of this name. */
export function scenarioNamed(id: string): Scenario | undefined {
  for (const { scenarios } of chapters) for (const scenario of scenarios) if (scenario.id === id) return scenario
  return undefined
}
