// What needs no test runner; the suite itself is `@posthorn/testkit/conformance`.
export { type CapabilityRow, capabilityTable } from './capability-table.ts'
export { chapters, scenarioNamed } from './conformance/chapters.ts'
export type { Faults, Foreign, Harness } from './conformance/harness.ts'
export { type Matrix, matrixTable } from './conformance/matrix.ts'
export { changedAdapter, harnessWith, type Outcome, runScenario } from './conformance/outcome.ts'
export type { Chapter, Need, Scenario } from './conformance/scenario.ts'
