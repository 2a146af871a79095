// What all brokers have in common, shown by one that is up in a moment: real processes, ports and folders, a server of a few lines in place of RabbitMQ or Kafka.
import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, afterEach, expect, test, vi } from 'vitest'
import type { Broker } from './broker.ts'
import { ensure, freezeNode, killNode, logs, reset, startNode, status, stop, url } from './lifecycle.ts'
import { brokersFolder } from './places.ts'

/** Counts its starts in its data; told to, it says why it cannot, 60 more lines, and ends. */
const server = `
  const { appendFileSync } = require('node:fs')
  const [port, broken] = process.argv.slice(1)
  appendFileSync('data', 'started\\n')
  if (broken) { console.log('2026-01-01 [error] <0.1.0> the disk is made of cheese'); for (let n = 1; n <= 60; n++) console.log('line ' + n); process.exit(1) }
  require('node:http').createServer((_, answer) => answer.end('up')).listen(Number(port), '127.0.0.1', () => console.log('up'))
`

const small: Broker = {
  name: 'small',
  summary: 'for this test',
  usual: false,
  block: 790,
  stages: [{ n1: ['http'] }],
  startMs: 20_000,
  install: async () => '',
  start: async ({ settings }, { ports }) => ({
    file: process.execPath,
    args: ['-e', server, String(ports['http']), settings['broken'] ?? ''],
  }),
  ready: async (_, { ports }) =>
    (await (await fetch(`http://127.0.0.1:${ports['http']}`)).text()) === 'up' ? undefined : 'no answer',
  url: ({ processes }) => `http://127.0.0.1:${processes[0]?.ports['http']}`,
}

vi.mock('./catalogue.ts', () => ({ brokerNamed: () => small }))

const folder = join(brokersFolder, 'small')
const starts = (): number => readFileSync(join(folder, 'n1', 'data'), 'utf8').split('\n').length - 1
const state = (): string | undefined => status('small')[0]?.state
const answers = async (): Promise<string> => (await fetch(url('small'))).text()

afterEach(() => stop('small'))
afterAll(() => rmSync(folder, { recursive: true, force: true }))

test('it is started once, however often and by however many it is asked for, and its data outlives its stop', async () => {
  const urls = await Promise.all([ensure('small'), ensure('small'), ensure('small')])
  expect(new Set(urls)).toEqual(new Set([url('small')]))
  expect(await ensure('small')).toBe(url('small'))
  expect([await answers(), starts(), state()]).toEqual(['up', 1, 'running'])
  expect(status('small')[0]?.memoryMb).toBeGreaterThan(10)
  await stop('small')
  await stop('small')
  expect(state()).toBe('stopped')
  await expect(answers()).rejects.toThrow()
  await ensure('small')
  expect(starts()).toBe(2)
})

test('a reset gives an empty one that runs', async () => {
  await ensure('small')
  await reset('small')
  expect([await answers(), starts()]).toEqual(['up', 1])
})

test('a start that fails says why as soon as the process has ended, shows its first complaint and the last lines of the log, and leaves nothing half started', async () => {
  const failure = await ensure('small', { settings: { broken: 'yes' } }).catch((error: Error) => error.message)
  expect(failure).toMatch(
    /^small: n1 did not start: it ended by itself\. It complained first:\n2026-01-01 \[error\] <0\.1\.0> the disk is made of cheese\nIts ports: http \d+ \(POSTHORN_PORT_BASE moves them\)\. The last lines of \S+\/log:\nline 21\n/,
  )
  expect(failure).toMatch(/\nline 60$/)
  expect(state()).toBe('stopped')
  expect(existsSync(join(folder, 'settings.json'))).toBe(false)
  await ensure('small')
  expect(logs('small').map(({ text }) => text)).toEqual(['up'])
})

test('one that was killed starts again with its data, one that was frozen goes on', async () => {
  await reset('small')
  await killNode('small')
  expect(state()).toBe('stopped')
  await startNode('small')
  expect([await answers(), starts()]).toEqual(['up', 2])
  freezeNode('small')
  await expect.poll(state).toBe('frozen')
  await ensure('small')
  expect([await answers(), starts(), state()]).toEqual(['up', 2, 'running'])
})

test('a port that another program has is named, and how to move', async () => {
  const first = await ensure('small')
  const record = join(folder, 'n1', 'process.json')
  const kept = readFileSync(record, 'utf8')
  // As if this one were somebody else's.
  rmSync(record)
  const refusal = await ensure('small').catch((error: Error) => error.message)
  writeFileSync(record, kept)
  expect(refusal).toBe(
    `small: n1 was not started: another program listens on ${new URL(first).port}. End it, or move this checkout's ports with POSTHORN_PORT_BASE`,
  )
})
