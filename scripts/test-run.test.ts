import { expect, test } from 'vitest'
import { type Report, tally } from './test-run.ts'

const report = (more: Partial<Report>): Report => ({
  numPassedTests: 3,
  numPendingTests: 1,
  testResults: [{ name: 'a.test.ts', status: 'passed', assertionResults: [{ status: 'passed', fullName: 'holds' }] }],
  ...more,
})

test('what passed and what was skipped are counted', () => {
  expect(tally(report({}), 0)).toEqual({ passed: 3, failed: 0, skipped: 1, red: [] })
})

test('a file that could not be loaded is a failure', () => {
  const broken = report({ testResults: [{ name: 'a.test.ts', status: 'failed', assertionResults: [] }] })
  expect(tally(broken, 1)).toEqual({ passed: 3, failed: 1, skipped: 1, red: ['a.test.ts'] })
})

test('a failed test in a failed file counts once', () => {
  const assertionResults = [
    { status: 'failed', fullName: 'does not hold' },
    { status: 'passed', fullName: 'holds' },
  ]
  const testResults = [{ name: 'a.test.ts', status: 'failed', assertionResults }]
  expect(tally(report({ testResults }), 1)).toMatchObject({ failed: 1, red: ['does not hold'] })
})

test('a run that ended badly is never all right', () => {
  expect(tally(report({}), 1).failed).toBe(1)
  expect(tally(undefined, 0).failed).toBe(1)
})
