// A consumer that nobody awaited while its broker closed.
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, expect, test } from 'vitest'
import { connect, topic } from './index.ts'

const orders = topic('orders', { groups: ['billing'] })
const folder = mkdtempSync(join(tmpdir(), 'posthorn-closing-'))
afterAll(() => rmSync(folder, { recursive: true, force: true, maxRetries: 3 }))

test.each(['memory:', `sqlite:${join(folder, 'app.db')}`])(
  'ends as any other, without a word of it (%s)',
  async (url) => {
    const lines: unknown[] = []
    const broker = await connect(url, { log: (line) => void lines.push(line) })
    const consuming = broker.consume(orders, { group: 'billing' }, async () => {})
    const outcome = consuming.then(
      (consumer) => consumer.done,
      (error: unknown) => error,
    )
    await broker.close()
    // In vain as a whole, or opened and ended: never an error that speaks of something else.
    const ended = await outcome
    expect(ended === undefined || (ended as { code?: unknown }).code === 'closed').toBe(true)
    expect(lines).toEqual([])
  },
)

test('a consumer that is asked for later is told so', async () => {
  const broker = await connect('memory:', { log: false })
  await broker.close()
  await expect(broker.consume(orders, { group: 'billing' }, async () => {})).rejects.toMatchObject({ code: 'closed' })
})
