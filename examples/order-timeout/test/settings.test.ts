import { spawnSync } from 'node:child_process'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, test } from 'vitest'

test.each([
  ['PORT', 'abc', 'PORT is abc; give a whole number from 0 to 65535'],
  ['ORDER_TIMEOUT_MS', '0', 'ORDER_TIMEOUT_MS is 0; give a whole number from 1 to 2147483647'],
  ['STOCK', '-5', 'STOCK is -5; give a whole number from 0 to 2147483647'],
  ['BROKER_URL', 'nonsense', 'BROKER_URL is nonsense; give a URL, such as amqp://localhost or kafka://localhost:9092'],
])('%s=%s is refused in one line', (name, value, line) => {
  const env = { ...process.env, DATABASE_FILE: join(tmpdir(), 'posthorn-settings.db'), [name]: value }
  const main = join(import.meta.dirname, '../main.ts')
  const { status, stdout, stderr } = spawnSync(process.execPath, ['--conditions=posthorn:source', main], {
    env,
    encoding: 'utf8',
    timeout: 20_000,
  })
  expect({ status, stdout, stderr }).toEqual({ status: 1, stdout: '', stderr: `${line}\n` })
})
