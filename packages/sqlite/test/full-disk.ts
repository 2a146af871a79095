// Sends until the disk is full, makes room, goes on: `full-disk.ts <folder>`, a file system of its own of a few MB. Tells its parent what it saw.
import { rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { isMessagingError, type MessagingError } from '@posthorn/core'
import { connected, membership, message, never, topicOf } from './stage.ts'

const [folder = ''] = process.argv.slice(2)
const ballast = join(folder, 'ballast')
const path = join(folder, 'app.db')
process.on('disconnect', () => process.exit(1))
writeFileSync(ballast, new Uint8Array(1_000_000))
const driver = await connected({ path })
const topic = topicOf('t')
await driver.declare(topic, never)
const acknowledged: string[] = []
let failure: MessagingError | undefined
for (let n = 0; failure === undefined; n++) {
  const text = `${n} ${'x'.repeat(100_000)}`
  try {
    const [result] = await driver.send([message('t', text)], { signal: never })
    if (result?.ok === true) acknowledged.push(`${n}`)
  } catch (error) {
    if (!isMessagingError(error)) throw error
    failure = error
  }
}
rmSync(ballast)
const [after] = await driver.send([message('t', 'after ')], { signal: never })
if (after?.ok === true) acknowledged.push('after')
const source = await driver.open(membership(topic), never)
const delivered = (await source.receive(1_000, never)).map(({ body }) => Buffer.from(body).toString().split(' ')[0])
const sound = driver.client.database.prepare('PRAGMA integrity_check').get()?.['integrity_check']
await driver.close()
const { code, outcome, message: says } = failure
process.send?.({ acknowledged, delivered, sound, failure: { code, outcome, says } }, () => process.exit(0))
