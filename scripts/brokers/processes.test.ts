import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import type { Launch } from './broker.ts'
import { until } from './condition.ts'
import { logTail } from './log.ts'
import { end, kill, launch, logFile, members, signalAll, stateOf } from './processes.ts'

let folder = ''
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'posthorn-'))
})
afterEach(async () => {
  await kill(folder)
  rmSync(folder, { recursive: true })
})

const start = async (script: string): Promise<void> => {
  const what: Launch = { file: 'sh', args: ['-c', script] }
  launch({ name: 'n1', folder, ports: {} }, what)
  await until(() => (logTail(logFile(folder), 1) === 'up' ? undefined : 'not up'), { withinMs: 10_000, everyMs: 10 })
}

const inState = (state: string) =>
  until(() => (stateOf(folder) === state ? undefined : stateOf(folder)), { withinMs: 10_000, everyMs: 10 })

test('a launch is frozen, goes on and is killed with its children', async () => {
  await start('sleep 600 & echo up; wait')
  expect(members(folder).length).toBe(2)
  signalAll(folder, 'SIGSTOP')
  await inState('frozen')
  signalAll(folder, 'SIGCONT')
  await inState('running')
  await kill(folder)
  expect(stateOf(folder)).toBe('stopped')
})

test('end is a polite request, made to a frozen process, too', async () => {
  await start(`trap 'echo bye; exit 0' TERM; echo up; while :; do sleep 0.05; done`)
  signalAll(folder, 'SIGSTOP')
  await inState('frozen')
  await end(folder)
  expect(logTail(logFile(folder), 1)).toBe('bye')
})

test('what does not end when asked is killed', async () => {
  await start(`trap '' TERM; echo up; while :; do sleep 0.05; done`)
  await end(folder, 200)
  expect(stateOf(folder)).toBe('stopped')
})

test('a record that names a process of somebody else signals nobody', async () => {
  writeFileSync(join(folder, 'process.json'), JSON.stringify({ pid: process.pid, startedAt: '1' }))
  expect(members(folder)).toEqual([])
  writeFileSync(join(folder, 'process.json'), JSON.stringify({ pid: 999_999_999, startedAt: '1' }))
  expect(members(folder)).toEqual([])
})

test('a program that is not there is said', () => {
  expect(() => launch({ name: 'n1', folder, ports: {} }, { file: 'no-such-program', args: [] })).toThrow(
    /no-such-program could not be started/,
  )
})
