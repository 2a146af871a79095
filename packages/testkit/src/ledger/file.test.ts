import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { appendFileSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { checkFolder } from './checker.ts'
import { fileLedger, readLedger } from './file.ts'
import { fingerprint } from './fingerprint.ts'
import { memoryLedger, monotonicNow, recordRejections } from './ledger.ts'

let folder: string
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'ledger-'))
})
afterEach(() => rmSync(folder, { recursive: true }))
const files = (): string[] => readdirSync(folder).map((name) => join(folder, name))

test('what a producer and a consumer write is checked together', async () => {
  const producer = fileLedger(folder, 'producer')
  const consumer = fileLedger(folder, 'consumer')
  for (let i = 0; i < 100; i++) {
    await producer.intent({ id: `m${i}`, topic: 'orders', key: 'k', seq: i, hash: 'h' })
    producer.outcome(`m${i}`, 'ok')
    consumer.delivery({ id: `m${i}`, group: 'billing', topic: 'orders', hash: 'h' })
    consumer.effect(`m${i}`, 'billing')
    consumer.ack(`m${i}`, 'billing')
  }
  const heal = producer.fault('reset')
  heal()
  consumer.backlog('billing', 0)
  await producer.end()
  await consumer.end({ closeMs: 3, handles: 0 })
  const result = await checkFolder(folder, { groups: ['billing'] })
  expect(result).toMatchObject({
    ok: true,
    counts: { attempted: 100, effects: 100, torn: 0 },
    faults: [{ name: 'reset' }],
  })
  expect(files()).toHaveLength(2)
})

test('an intent is in the file before its promise resolves, also many at once', async () => {
  const ledger = fileLedger(folder, 'producer')
  await Promise.all(Array.from({ length: 1_000 }, (_, i) => ledger.intent({ id: `m${i}`, topic: 'orders' })))
  expect(readFileSync(files()[0] as string, 'utf8').split('\n')).toHaveLength(1_001)
  await ledger.end()
})

test('a torn last line is left out and counted; a torn line before it is an error', async () => {
  const ledger = fileLedger(folder, 'producer')
  await ledger.intent({ id: 'a', topic: 'orders' })
  await ledger.end()
  const [path] = files() as [string]
  appendFileSync(path, '{"e":"outcome","t":12,"id":"a","a')
  expect(await checkFolder(folder)).toMatchObject({ counts: { attempted: 1, torn: 1 } })
  appendFileSync(path, '\n{"e":"effect","t":13,"id":"a","group":"g"}\n')
  await expect(checkFolder(folder)).rejects.toThrow(/line 3 of the ledger .* only the last may be torn/)
})

test('a last line that lacks only its newline counts', async () => {
  writeFileSync(join(folder, 'x.jsonl'), '{"e":"intent","t":1,"id":"a","topic":"orders"}')
  const lines = []
  for await (const line of readLedger(folder)) lines.push(line)
  expect(lines).toEqual([{ writer: 'x.jsonl', entry: { e: 'intent', t: 1, id: 'a', topic: 'orders' } }])
})

test('what a killed process wrote is there to the last line', async () => {
  const program = `
    import { fileLedger } from ${JSON.stringify(new URL('./file.ts', import.meta.url).href)}
    const ledger = fileLedger(process.argv[1], 'killed', { durable: false })
    for (let i = 0; ; i++) {
      await ledger.intent({ id: 'm' + i, topic: 'orders' })
      ledger.outcome('m' + i, 'ok')
      process.stdout.write(i + '\\n')
    }`
  const child = spawn(process.execPath, ['--input-type=module', '-e', program, folder], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const exit = once(child, 'exit')
  let said = ''
  for await (const chunk of child.stdout) {
    said += chunk
    if (said.split('\n').length > 200) break
  }
  child.kill('SIGKILL')
  await exit
  const last = Number(said.slice(0, said.lastIndexOf('\n')).split('\n').at(-1))
  const { counts, ok } = await checkFolder(folder)
  expect(last).toBeGreaterThan(100)
  expect(counts.acknowledged).toBeGreaterThan(last)
  expect(ok).toBe(true)
})

test('times of two processes are on one clock', async () => {
  const before = monotonicNow()
  const module = JSON.stringify(new URL('./ledger.ts', import.meta.url).href)
  const child = spawn(process.execPath, [
    '--input-type=module',
    '-e',
    `import { monotonicNow } from ${module}; console.log(monotonicNow())`,
  ])
  let said = ''
  for await (const chunk of child.stdout) said += chunk
  expect(Number(said)).toBeGreaterThan(before)
  expect(Number(said)).toBeLessThan(monotonicNow())
})

test('a fingerprint sees the body, key, tag and headers, and not the order of headers', () => {
  const message = { body: 'x', key: 'k', tag: 't', headers: { a: '1', b: '2' } }
  const same = { ...message, body: Buffer.from('x'), headers: { b: '2', a: '1' } }
  expect(fingerprint(same)).toBe(fingerprint(message))
  const others = [
    { ...message, body: 'y' },
    { ...message, key: undefined },
    { ...message, tag: undefined },
    { ...message, headers: { a: '1' } },
    { ...message, headers: { a: '1', b: '3' } },
  ]
  expect(new Set([message, ...others].map(fingerprint)).size).toBe(6)
})

test('rejections that nobody handled are written down', () => {
  const ledger = memoryLedger(() => 5)
  const stop = recordRejections(ledger)
  const before = process.listeners('unhandledRejection')
  before.at(-1)?.(new TypeError('nobody'), Promise.resolve())
  stop()
  expect(process.listeners('unhandledRejection')).toHaveLength(before.length - 1)
  expect(ledger.entries).toEqual([{ e: 'rejection', t: 5, error: 'TypeError: nobody' }])
})
