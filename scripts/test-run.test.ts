import { expect, test } from 'vitest'
import { type Report, tally } from './test-run.ts'

const report = (more: Partial<Report>): Report => ({
  numPassedTests: 3,
  numFailedTests: 0,
  numPendingTests: 1,
  testResults: [{ status: 'passed', assertionResults: [{ status: 'passed' }] }],
  ...more,
})

test('what passed and what was skipped are counted', () => {
  expect(tally(report({}), 0)).toEqual({ passed: 3, failed: 0, skipped: 1 })
})

test('a file that could not be loaded is a failure', () => {
  const broken = report({ testResults: [{ status: 'failed', assertionResults: [] }] })
  expect(tally(broken, 1)).toEqual({ passed: 3, failed: 1, skipped: 1 })
})

test('a failed test in a failed file counts once', () => {
  const testResults = [{ status: 'failed', assertionResults: [{ status: 'failed' }, { status: 'passed' }] }]
  expect(tally(report({ numFailedTests: 1, testResults }), 1).failed).toBe(1)
})

test('a run that ended badly is never all right', () => {
  expect(tally(report({}), 1).failed).toBe(1)
  expect(tally(undefined, 0).failed).toBe(1)
})
