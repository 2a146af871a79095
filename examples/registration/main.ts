// Registration: the answer to the visitor does not wait for the mail, nor the mail for the SMS. Two groups, side by side, each its own copy.
import { mkdtempSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { connect, fixed, retry, topic } from 'posthorn'

const broker = await connect({
  url: process.env['BROKER_URL'] ?? `sqlite:${join(mkdtempSync(join(tmpdir(), 'registration-')), 'app.db')}`,
  log: false,
})
const registered = topic<{ name: string }>(`users.registered.${Date.now().toString(36)}`, { groups: ['mail', 'sms'] })
const visitors = ['Ada', 'Grace', 'Edsger']

/** Resolves when everybody has been told by a channel. */
function channel(name: 'mail' | 'sms', send: (to: string, attempt: number) => Promise<void>): Promise<void> {
  const told = new Set<string>()
  const { promise, resolve, reject } = Promise.withResolvers<void>()
  broker
    .consume(
      registered,
      { group: name, use: [retry({ attempts: 5, backoff: fixed(20) })] },
      async ({ body, attempt }) => {
        await send(body.name, attempt)
        console.log(`${name} to ${body.name}${attempt > 1 ? `, at try ${attempt}` : ''}`)
        if (told.add(body.name).size === visitors.length) resolve()
      },
    )
    .catch(reject)
  return promise
}

const mail = channel('mail', async () => {})
// The SMS gateway refuses Grace once. Nobody else notices: neither the mails, nor the visitor.
const sms = channel('sms', async (to, attempt) => {
  if (to === 'Grace' && attempt === 1) throw new Error('the gateway is busy')
})

for (const name of visitors) {
  await broker.producer().send(registered, { name })
  console.log(`${name} is registered`)
}
await Promise.all([mail, sms])
console.log('everybody has a mail and an SMS')
await broker.close()
