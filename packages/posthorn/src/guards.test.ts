import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { expect, it } from 'vitest'
import { type ConsumeExtension, connect, type Delivery, newerOnly, topic, transitions } from './index.ts'

interface Change {
  readonly id: string
  readonly version: number
  readonly to: string
}
const changes = topic<Change>('changes', { groups: ['g'] })
const change = (delivery: Delivery): Change => delivery.body as Change

/** Sends these one after the other to a handler behind the guard; what it did, what became of the row, and the dead. */
async function guarded(use: ConsumeExtension, sent: readonly Change[]) {
  const folder = mkdtempSync(join(tmpdir(), 'posthorn-guards-'))
  const file = join(folder, 'app.db')
  const own = new DatabaseSync(file)
  own.exec(
    "CREATE TABLE orders (id TEXT PRIMARY KEY, version INTEGER, state TEXT); INSERT INTO orders VALUES ('a', 3, 'new')",
  )
  const broker = await connect(`sqlite:${file}`, { log: false })
  const applied: string[] = []
  for (const body of sent) await broker.producer().send(changes, body)
  await broker.consume(
    changes,
    { group: 'g', concurrency: 1, guarantee: 'exactly-once-effects', use: [use] },
    async ({ body }) => void applied.push(`${body.id} ${body.version} ${body.to}`),
  )
  await expect.poll(async () => (await broker.lag(changes, { group: 'g' })).backlog).toBe(0)
  const letters: (string | undefined)[] = []
  for await (const letter of broker.deadLetters(changes, { group: 'g' }).list()) letters.push(letter.error)
  await broker.close()
  const row = { ...own.prepare("SELECT version, state FROM orders WHERE id = 'a'").get() }
  own.close()
  rmSync(folder, { recursive: true })
  return { applied, letters, row }
}

it('newerOnly: what is late or twice has no effect, what is newer moves the version, a row to be made is the handler’s', async () => {
  const of = (delivery: Delivery) => ({ key: change(delivery).id, version: change(delivery).version })
  const { applied, letters, row } = await guarded(newerOnly({ table: 'orders', of }), [
    { id: 'a', version: 5, to: '' },
    { id: 'a', version: 4, to: '' },
    { id: 'a', version: 5, to: '' },
    { id: 'b', version: 1, to: '' },
    { id: 'a', version: 6, to: '' },
  ])
  expect(applied).toEqual(['a 5 ', 'b 1 ', 'a 6 '])
  expect(letters).toEqual([])
  expect(row).toEqual({ version: 6, state: 'new' })
})

it('transitions: only what is allowed applies; the rest is a dead letter that says so', async () => {
  const guard = transitions({
    table: 'orders',
    allowed: { new: ['paid', 'cancelled'], paid: ['shipped'], shipped: [], cancelled: [] },
    of: (delivery) => ({
      key: change(delivery).id,
      to: change(delivery).to as 'new' | 'paid' | 'shipped' | 'cancelled',
    }),
  })
  const { applied, letters, row } = await guarded(guard, [
    { id: 'a', version: 0, to: 'shipped' },
    { id: 'a', version: 0, to: 'paid' },
    { id: 'a', version: 0, to: 'cancelled' },
    { id: 'a', version: 0, to: 'shipped' },
  ])
  expect(applied).toEqual(['a 0 paid', 'a 0 shipped'])
  expect(letters).toEqual(['a may not become shipped from where it is', 'a may not become cancelled from where it is'])
  expect(row).toEqual({ version: 3, state: 'shipped' })
})

it('a guard without the handler’s transaction is refused at start, and so is a name that is more than a name', async () => {
  const of = () => ({ key: 'a', version: 1 })
  expect(() => newerOnly({ table: 'orders; DROP TABLE orders', of })).toThrow(/plain SQL name/)
  const broker = await connect('memory:', { log: false })
  const use = [newerOnly({ table: 'orders', of })]
  await expect(broker.consume(changes, { group: 'g', use }, async () => {})).rejects.toThrow(/exactly-once-effects/)
  await broker.close()
})
