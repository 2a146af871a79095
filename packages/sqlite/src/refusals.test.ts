import { type ChildProcess, fork, spawn, spawnSync } from 'node:child_process'
import { chmodSync, existsSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { isMessagingError } from '@posthorn/core'
import { afterEach, expect, test } from 'vitest'
import { connected, freshPath, membership, message, never, texts, topicOf } from '../test/stage.ts'
import { openFile } from './file.ts'

const script = (name: string): string => fileURLToPath(new URL(`../test/${name}.ts`, import.meta.url))
const execArgv = ['--conditions=posthorn:source', '--disable-warning=ExperimentalWarning']
const children: ChildProcess[] = []
afterEach(() => {
  for (const child of children.splice(0)) child.kill('SIGKILL')
})

function reported(child: ChildProcess): Promise<unknown> {
  children.push(child)
  return new Promise((resolve, reject) => {
    child.once('message', resolve)
    child.once('exit', (code) => reject(new Error(`it ended with ${code} and said nothing`)))
  })
}
const stranger = (path: string): Promise<unknown> => reported(fork(script('stranger'), [path], { execArgv }))

/** A file with one message that everybody may find. */
async function kept(): Promise<string> {
  const path = freshPath()
  const driver = await connected(path)
  await driver.declare(topicOf('t'), never)
  await driver.send([message('t', 'kept')], { signal: never })
  await driver.close()
  chmodSync(dirname(path), 0o777)
  chmodSync(path, 0o666)
  return path
}
async function inside(path: string): Promise<string> {
  const driver = await connected(path)
  const source = await driver.open(membership(topicOf('t')), never)
  const got = texts(await source.receive(10, never))
  await driver.close()
  return got
}

test('who may write the file and its folder is let in', async () => {
  const path = await kept()
  expect(await stranger(path)).toEqual({ sent: true })
  // What the stranger made belongs to it; who was there first goes on with it.
  expect(await inside(path)).toBe('kept from a stranger')
})

test('a folder that may not be written is refused, with the file in it or without, and nothing changes', async () => {
  const path = await kept()
  chmodSync(dirname(path), 0o555)
  const refused = {
    code: 'unavailable',
    message: expect.stringMatching(/cannot be written.*give this user write access/),
  }
  expect(await stranger(path)).toEqual(refused)
  expect(await stranger(`${path}.new`)).toEqual(refused)
  expect(existsSync(`${path}.new`)).toBe(false)
  expect(await stranger(join(dirname(path), 'data', 'app.db'))).toEqual(refused)
  expect(existsSync(join(dirname(path), 'data'))).toBe(false)
  chmodSync(dirname(path), 0o755)
  expect(await inside(path)).toBe('kept')
})

test('a file that may not be written is refused, and nothing changes', async () => {
  const path = await kept()
  chmodSync(path, 0o444)
  expect(await stranger(path)).toEqual({
    code: 'unavailable',
    message: expect.stringMatching(/app\.db cannot be written.*give this user write access/),
  })
  chmodSync(path, 0o644)
  expect(await inside(path)).toBe('kept')
})

test("a file whose shared memory is another's is refused, and its owner goes on", async () => {
  const path = await kept()
  const driver = await connected(path)
  await driver.send([message('t', 'more')], { signal: never })
  for (const end of ['-shm', '-wal']) chmodSync(`${path}${end}`, 0o444)
  expect(await stranger(path)).toEqual({
    code: 'unavailable',
    message: expect.stringMatching(/-wal and -shm files/),
  })
  await driver.send([message('t', 'still')], { signal: never })
  await driver.close()
  expect(await inside(path)).toBe('kept more still')
})

test.each([
  ['NFS', 0x6969],
  ['CIFS', 0xff534d42],
  ['SMB2', 0xfe534d42],
  ['Ceph', 0x00c36400],
])('a file on %s is refused before anything is written', async (name, type) => {
  const path = freshPath()
  const inFolder = join(dirname(path), 'data', 'app.db')
  for (const each of [path, inFolder])
    await expect(openFile(each, 1_000, async () => type)).rejects.toSatisfy(
      (error) => isMessagingError(error, 'unsupported') && error.message.includes(name),
    )
  expect(existsSync(path)).toBe(false)
  expect(existsSync(dirname(inFolder))).toBe(false)
})

const mounts = process.platform === 'linux' && spawnSync('unshare', ['-rm', 'true']).status === 0

test.skipIf(!mounts)(
  'a disk that is really full fails the send, keeps what was acknowledged, and goes on when there is room',
  async () => {
    const folder = dirname(freshPath())
    const shell = 'mount -t tmpfs -o size=3m none "$0" && exec "$@"'
    const child = spawn(
      'unshare',
      ['-rm', 'sh', '-c', shell, folder, process.execPath, ...execArgv, script('full-disk'), folder],
      { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] },
    )
    const report = (await reported(child)) as { readonly acknowledged: string[]; readonly delivered: string[] }
    expect(report).toMatchObject({
      sound: 'ok',
      failure: {
        code: 'unavailable',
        outcome: 'failed',
        says: expect.stringMatching(/no room on the disk.*Free some/),
      },
    })
    expect(report.acknowledged.length).toBeGreaterThan(3)
    expect(report.acknowledged.at(-1)).toBe('after')
    expect(report.delivered).toEqual(report.acknowledged)
  },
)

test('the shelf of a group that reads nothing is not there; that of a group without dead letters is empty', async () => {
  const driver = await connected(freshPath())
  const topic = topicOf('t')
  await driver.declare(topic, never)
  const letters = async (group: string | undefined): Promise<number> => {
    let count = 0
    for await (const _ of driver.shelf(topic, group).list(never)) count++
    return count
  }
  expect([await letters('g'), await letters(undefined)]).toEqual([0, 0])
  await expect(letters('h')).rejects.toMatchObject({
    code: 'not-found',
    message: 'there is no group h that could have dead letters of t',
  })
  await driver.close()
})
