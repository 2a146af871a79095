import { type ChildProcess, fork } from 'node:child_process'
import { DatabaseSync } from 'node:sqlite'
import { fileURLToPath } from 'node:url'
import { afterEach, expect, test } from 'vitest'
import { connected, freshPath, membership, message, never, texts, topicOf } from '../test/stage.ts'

const script = fileURLToPath(new URL('../test/member.ts', import.meta.url))
const children: ChildProcess[] = []
afterEach(() => {
  for (const child of children.splice(0)) child.kill('SIGKILL')
})

function start(...args: string[]): ChildProcess {
  const child = fork(script, args, { execArgv: ['--conditions=posthorn:source'] })
  children.push(child)
  return child
}

function said(child: ChildProcess): Promise<unknown> {
  return new Promise((resolve) => child.once('message', resolve))
}

const topic = topicOf('orders', { groups: [{ name: 'g', order: 'key', filter: undefined }], keyed: true })

/** Three messages of a key, in the hands of another process. */
async function heldByAnother() {
  const path = freshPath()
  // The lease of the other is short. Ours is not: it may take any time to say what it has to.
  const driver = await connected(path)
  await driver.declare(topic, never)
  await driver.send(
    ['1', '2', '3'].map((text) => message('orders', text, { key: 'k' })),
    { signal: never },
  )
  const child = start(path, 'hold')
  expect(await said(child)).toBe('1 2 3')
  return { path, driver, child }
}

test('what a killed process held comes to another when its lease ends, in order, with its start counted', async () => {
  const { path, driver, child } = await heldByAnother()
  child.kill('SIGKILL')
  const source = await driver.open(membership(topic, { order: 'key' }), never)
  const got = await source.receive(10, never)
  expect(texts(got)).toBe('1 2 3')
  expect(got.map(({ deliveryCount }) => deliveryCount)).toEqual([2, 2, 2])
  expect(await source.settle(got.map(({ token }) => ({ token, verdict: 'ack' })))).toEqual(['ok', 'ok', 'ok'])
  const file = new DatabaseSync(path)
  expect(file.prepare('PRAGMA integrity_check').get()).toEqual({ integrity_check: 'ok' })
  file.close()
  await driver.close()
})

test('what a frozen process held goes to another when its lease ends; thawed, it settles and extends nothing of it', async () => {
  const { driver, child } = await heldByAnother()
  child.kill('SIGSTOP')
  const source = await driver.open(membership(topic, { order: 'key' }), never)
  const got = await source.receive(10, never)
  expect(texts(got)).toBe('1 2 3')
  const answer = said(child)
  child.send('settle')
  child.kill('SIGCONT')
  expect(await answer).toBe('stale stale stale stale stale stale')
  // Neither took anything from who holds them now.
  expect(await source.settle(got.map(({ token }) => ({ token, verdict: 'ack' })))).toEqual(['ok', 'ok', 'ok'])
  expect((await driver.lag(topic, 'g', never)).backlog).toBe(0)
  await driver.close()
})

test('a source that waits is woken by what another process sends, and keys stay in order', async () => {
  const path = freshPath()
  const driver = await connected(path)
  await driver.declare(topic, never)
  const source = await driver.open(membership(topic, { order: 'key' }), never)
  start(path, 'send', '60')
  const seen = new Map<string, number[]>()
  for (let count = 0; count < 60; ) {
    const got = await source.receive(7, never)
    for (const { key = '', body } of got)
      seen.set(key, [...(seen.get(key) ?? []), Number(Buffer.from(body).toString())])
    await source.settle(got.map(({ token }) => ({ token, verdict: 'ack' })))
    count += got.length
  }
  for (const numbers of seen.values()) expect(numbers).toEqual(numbers.toSorted((a, b) => a - b))
  await driver.close()
})

test('who waits is woken by the write of another process, not by the next look', async () => {
  const path = freshPath()
  const driver = await connected({ path, probeMs: 60_000 })
  await driver.declare(topic, never)
  const source = await driver.open(membership(topic, { order: 'key' }), never)
  const receiving = source.receive(1, never)
  start(path, 'send', '1')
  expect(texts(await receiving)).toBe('0')
  await driver.close()
})

test('processes that are killed while they send leave a sound file, each message whole or not there', async () => {
  const path = freshPath()
  const driver = await connected(path)
  await driver.declare(topic, never)
  for (let round = 0; round < 3; round++) {
    const child = start(path, 'send', '100000')
    const before = (await driver.lag(topic, 'g', never)).backlog
    while ((await driver.lag(topic, 'g', never)).backlog < before + 5)
      await new Promise((resolve) => setTimeout(resolve, 5))
    const gone = new Promise((resolve) => child.once('exit', resolve))
    child.kill('SIGKILL')
    await gone
    expect(driver.client.database.prepare('PRAGMA integrity_check').get()).toEqual({ integrity_check: 'ok' })
  }
  const { backlog } = await driver.lag(topic, 'g', never)
  let found = 0
  for await (const { body } of driver.query?.(
    topic,
    { id: undefined, key: undefined, from: undefined, to: undefined },
    never,
  ) ?? []) {
    expect(Buffer.from(body).toString()).toMatch(/^\d+$/)
    found++
  }
  expect(found).toBe(backlog)
  await driver.close()
})
