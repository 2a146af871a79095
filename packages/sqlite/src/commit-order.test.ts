// What a reader of positions sees is what was committed, in the order of the commits: nothing that is committed later comes to lie before what it has read.
import { DatabaseSync } from 'node:sqlite'
import { expect, test } from 'vitest'
import { connected, freshPath, membership, message, never, texts, topicOf } from '../test/stage.ts'
import { sqliteTx } from './index.ts'

/** A file with a topic, and a reader that takes whatever it sees as soon as it sees it. */
async function read() {
  const path = freshPath()
  const driver = await connected(path)
  await driver.declare(topicOf('t'), never)
  const source = await driver.open(membership(topicOf('t'), { window: 1_000 }), never)
  const seen: string[] = []
  const positions: number[] = []
  const stop = new AbortController()
  const reading = (async () => {
    while (!stop.signal.aborted)
      for (const { body, position } of await source.receive(100, stop.signal)) {
        seen.push(Buffer.from(body).toString())
        positions.push(Number(position))
      }
  })()
  return {
    path,
    driver,
    seen,
    positions,
    async end() {
      stop.abort()
      await reading
      await driver.close()
    },
  }
}

test('order of commits: what is sent beside an open transaction lies after all of it, also after what that sends last', async () => {
  const { driver, seen, positions, end } = await read()
  let beside: Promise<unknown> | undefined
  await driver.store?.transaction(async (tx) => {
    await driver.send([message('t', 'first')], { signal: never, tx })
    beside = driver.send([message('t', 'beside')], { signal: never })
    for (let turns = 0; turns < 20; turns++) await new Promise(setImmediate)
    expect(seen).toEqual([])
    await driver.send([message('t', 'last')], { signal: never, tx })
  })
  await beside
  await expect.poll(() => seen).toEqual(['first', 'last', 'beside'])
  expect(positions).toEqual([1, 2, 3])
  await end()
})

test('order of commits: of two handles that commit and roll back by turns, a reader sees every commit once and in order', async () => {
  const { path, driver, seen, positions, end } = await read()
  const other = new DatabaseSync(path)
  const committed: string[] = []
  const ours = async (text: string, commits: boolean): Promise<void> => {
    const work = driver.store?.transaction(async (tx) => {
      await driver.send([message('t', text)], { signal: never, tx })
      if (!commits) throw new Error('rolled back')
    })
    await work?.catch(() => {})
  }
  /** While the other's transaction is open this handle wants to send, and gets in behind it. */
  const theirs = async (text: string, commits: boolean): Promise<void> => {
    other.exec('BEGIN IMMEDIATE')
    await driver.send([message('t', text)], { signal: never, tx: sqliteTx(other) })
    const behind = driver.send([message('t', `${text} behind`)], { signal: never })
    await new Promise(setImmediate)
    other.exec(commits ? 'COMMIT' : 'ROLLBACK')
    await behind
  }
  for (let n = 0; n < 40; n++) {
    const commits = n % 4 < 2
    await ours(`${n} ours`, commits)
    await driver.send([message('t', `${n} before`)], { signal: never })
    await theirs(`${n} theirs`, commits)
    committed.push(...(commits ? [`${n} ours`] : []), `${n} before`, ...(commits ? [`${n} theirs`] : []))
    committed.push(`${n} theirs behind`)
  }
  await expect.poll(() => seen.length).toBe(committed.length)
  expect(seen).toEqual(committed)
  expect(positions).toEqual(committed.map((_, i) => i + 1))
  other.close()
  await end()
})

// Without a reader: what fails in one transaction with other work is tried once more by itself, which would hide that the end was a wrong one.
test('order of commits: a handle goes on behind what another has committed since its own last send', async () => {
  const path = freshPath()
  const driver = await connected(path)
  await driver.declare(topicOf('t'), never)
  const other = new DatabaseSync(path)
  const send = (text: string) => driver.send([message('t', text)], { signal: never })
  expect(await send('before')).toEqual([{ ok: true, position: '1' }])
  other.exec('BEGIN IMMEDIATE')
  await driver.send([message('t', 'theirs')], { signal: never, tx: sqliteTx(other) })
  const behind = send('behind')
  other.exec('COMMIT')
  expect(await behind).toEqual([{ ok: true, position: '3' }])
  const source = await driver.open(membership(topicOf('t')), never)
  expect(texts(await source.receive(10, never))).toBe('before theirs behind')
  other.close()
  await driver.close()
})

test('order of commits: health shows how long the oldest open transaction is open, of ours and of others, and what waits for it', async () => {
  const { path, driver, seen, end } = await read()
  const transaction = async () => (await driver.health()).find(({ name }) => name === 'transaction')
  expect(await transaction()).toBeUndefined()

  let beside: Promise<unknown> | undefined
  await driver.store?.transaction(async (tx) => {
    await driver.send([message('t', 'in it')], { signal: never, tx })
    beside = driver.send([message('t', 'beside')], { signal: never })
    await expect
      .poll(async () => (await transaction())?.detail)
      .toMatch(/^one of ours is open for [1-9]\d* ms; 1 writes wait/)
    expect((await transaction())?.ok).toBe(true)
  })
  await beside
  // What the reader takes is a write, too.
  await expect.poll(() => seen).toEqual(['in it', 'beside'])
  expect(await transaction()).toBeUndefined()

  const other = new DatabaseSync(path)
  other.exec('BEGIN IMMEDIATE')
  const waits = driver.send([message('t', 'waits')], { signal: never })
  await expect
    .poll(async () => (await transaction())?.detail)
    .toMatch(/^another handle or process .* for [1-9]\d* ms; 1 writes wait/)
  other.exec('COMMIT')
  await waits
  expect(await transaction()).toBeUndefined()
  other.close()
  await end()
})
