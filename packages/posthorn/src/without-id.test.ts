// Equal messages of others without an id share the one that is made for them: an inbox that went by it would lose the second.
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, it } from 'vitest'
import { ensure } from '../../../scripts/brokers/lifecycle.ts'
import { managementOf } from '../../rabbitmq/src/testing/management.ts'
import { connect, fixed, idempotent, retry, topic } from './index.ts'

it('on RabbitMQ, idempotent() without `by` makes a dead letter of each such message at once, and of none an effect', {
  timeout: 60_000,
}, async () => {
  const folder = mkdtempSync(join(tmpdir(), 'posthorn-without-id-'))
  const namespace = `without${Date.now()}`
  const broker = await connect(await ensure('rabbitmq'), {
    log: false,
    namespace,
    store: `sqlite:${join(folder, 'app.db')}`,
    singleHost: true,
  })
  const ticks = topic<{ n: number }>('ticks', { groups: ['g'] })
  const handled: number[] = []
  // So long that a further try would be a copy, which has an id.
  const use = [idempotent(), retry({ attempts: 3, backoff: fixed(1_500) })]
  await broker.consume(ticks, { group: 'g', use }, async ({ body }) => void handled.push(body.n))
  const management = managementOf('rabbitmq')
  for (let copy = 0; copy < 2; copy++)
    await management.call('POST', `/exchanges/%2F/${encodeURIComponent(`${namespace}:ticks`)}/publish`, {
      routing_key: '0.ticks',
      properties: { content_type: 'application/json' },
      payload: '{"n":1}',
      payload_encoding: 'string',
    })
  const dead = broker.deadLetters(ticks, { group: 'g' })
  const reasons = async (): Promise<unknown[]> => {
    const found: unknown[] = []
    for await (const { reason, error } of dead.list())
      found.push([reason, /say idempotent\(\{ by \}\)/.test(error ?? '')])
    return found
  }
  await expect.poll(reasons, { timeout: 15_000 }).toEqual([
    ['rejected', true],
    ['rejected', true],
  ])
  // Its copy is not mistaken for one that has an id.
  await dead.redrive()
  await expect.poll(async () => (await reasons()).length, { timeout: 15_000 }).toBe(2)
  expect(handled).toEqual([])
  await broker.close()
  await management.remove(`${namespace}:`)
  rmSync(folder, { recursive: true })
})
