import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { expect, it } from 'vitest'
import { connect, fixed, idempotent, retry, topic } from './index.ts'

const payments = topic<{ payment: string }>('payments', { groups: ['ledger'] })

async function paid(columns: string) {
  const folder = mkdtempSync(join(tmpdir(), 'posthorn-own-table-'))
  const file = join(folder, 'app.db')
  const own = new DatabaseSync(file)
  own.exec(`CREATE TABLE handled_payments (${columns}); CREATE TABLE ledger (payment TEXT, try INTEGER)`)
  const broker = await connect(`sqlite:${file}`, { log: false })
  await broker.consume(
    payments,
    {
      group: 'ledger',
      guarantee: 'exactly-once-effects',
      use: [
        retry({ attempts: 2, backoff: fixed(1) }),
        idempotent({
          table: { name: 'handled_payments', column: 'payment' },
          by: ({ body }) => (body as { payment: string }).payment,
        }),
      ],
    },
    async ({ body, attempt, tx }) => {
      await tx.query('INSERT INTO ledger VALUES ($1, $2)', [body.payment, attempt])
      if (body.payment === 'p2' && attempt === 1) throw new Error('not this time')
    },
  )
  for (const payment of ['p1', 'p2', 'p1', 'p2', 'p1']) await broker.producer().send(payments, { payment })
  await expect.poll(async () => (await broker.lag(payments, { group: 'ledger' })).backlog).toBe(0)
  const errors: (string | undefined)[] = []
  for await (const { error } of broker.deadLetters(payments, { group: 'ledger' }).list()) errors.push(error)
  await broker.close()
  const rows = (text: string) =>
    own
      .prepare(text)
      .all()
      .map((row) => Object.values(row).join(' '))
  const found = {
    ledger: rows('SELECT * FROM ledger ORDER BY 1'),
    noted: rows('SELECT payment FROM handled_payments ORDER BY 1'),
    errors,
  }
  own.close()
  rmSync(folder, { recursive: true })
  return found
}

it('a dedupe table of one’s own remembers business events in the handler’s transaction, and forgets with a roll-back', async () => {
  expect(await paid('payment TEXT PRIMARY KEY')).toEqual({ ledger: ['p1 1', 'p2 2'], noted: ['p1', 'p2'], errors: [] })
})

it('a table in which nothing is unique lets nothing through', async () => {
  const { ledger, errors } = await paid('payment TEXT')
  expect(ledger).toEqual([])
  expect(errors).toHaveLength(5)
  expect(errors[0]).toMatch(/UNIQUE/)
})
