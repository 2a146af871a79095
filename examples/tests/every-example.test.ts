// Every smaller example as a reader runs it, on every broker.
import { execFile } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { ensure } from '@posthorn/brokers'
import { afterAll, describe, expect, test, vi } from 'vitest'

/** What the last lines must say. */
const examples: Readonly<Record<string, readonly string[]>> = {
  hello: [
    'sent "hello", held by the broker',
    'got "hello", attempt 1',
    'got "shaky", attempt 2',
    'dead letter: {"text":"broken"} after 3 tries: Error: cannot be read',
    'a message due in a minute: cancelled',
    'got "delayed", attempt 1',
    '"a":[1,2,3]',
    '"b":[1,2,3]',
    '"c":[1,2,3]',
    'redriven: 1',
  ],
  'flash-sale': ['200 served', 'at most 100 a second'],
  registration: ['sms to Grace, at try 2', 'everybody has a mail and an SMS'],
  'table-to-cache': ['table and cache agree'],
  'log-collection': ['collected: 1800 info, 200 warn', 'the producer counts 2000 posted, 0 dropped'],
  chat: ['ada in tea', 'grace in code'],
  'poison-message': ['put aside after 3 tries', 'order b: steps 1, 3, 4\n', 'redriven: 1; order b: steps 1, 3, 4, 2'],
  outbox: ['orders in the table: 1, 3', 'orders heard of: 1, 3'],
  'request-reply': ['lamp: 49 Euro', 'remote error: ', 'no answer within the deadline'],
  replay: [],
  'half-message': ['order 2 is not paid: the card was refused', 'shipped: 1, 3'],
  'swap-broker': ['["a",["placed","paid","reminded"]]'],
}
/** Where the brokers differ, and say so. */
const own: Readonly<Record<string, Readonly<Record<string, readonly string[]>>>> = {
  sqlite: { replay: ['replayed: 30', 'billed still: 30'], 'swap-broker': ['same outcome on 1: true'] },
  rabbitmq: { replay: ['keeps no history'], 'swap-broker': ['same outcome on 2: true'] },
  kafka: { replay: ['replayed: 30', 'billed still: 30'], 'swap-broker': ['same outcome on 2: true'] },
}

const temporary = mkdtempSync(join(tmpdir(), 'posthorn-examples-'))
afterAll(() => rmSync(temporary, { recursive: true, force: true }))

/** Runs one to its end and gives what it wrote. */
async function run(name: string, brokerUrl: string | undefined): Promise<string> {
  const main = join(import.meta.dirname, '..', name, 'main.ts')
  const { stdout } = await promisify(execFile)(process.execPath, ['--conditions=posthorn:source', main], {
    env: { ...process.env, TMPDIR: temporary, BROKER_URL: brokerUrl },
    timeout: 60_000,
    killSignal: 'SIGKILL',
  })
  return stdout
}

// As many beside each other as leave a small machine its patience; no two examples share a topic.
vi.setConfig({ maxConcurrency: 3 })

describe.concurrent.each(Object.keys(own))('examples on %s', (broker) => {
  test.each(Object.keys(examples))('%s', { timeout: 90_000 }, async (name) => {
    const url = broker === 'sqlite' ? undefined : await ensure(broker)
    const said = await run(name, url)
    for (const line of [...(examples[name] ?? []), ...(own[broker]?.[name] ?? [])]) expect(said).toContain(line)
    expect(said).not.toContain('OUT OF ORDER')
    if (name === 'hello') for (const line of said.trimEnd().split('\n')) expect(line).toMatch(/^ *\d+ ms {2}\S/)
  })
})
