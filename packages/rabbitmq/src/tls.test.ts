// Logging in: TLS, certificates, passwords, and nobody there.
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { type AddressInfo, createConnection, createServer } from 'node:net'
import { inspect } from 'node:util'
import { certificatesOf, ensure, portsOfNode } from '@posthorn/brokers'
import { MessagingError } from '@posthorn/core/driver'
import { faultProxy } from '@posthorn/testkit'
import { describe, expect, it } from 'vitest'
import { fromUrl } from './index.ts'
import { optionsFromUrl, settingsOf } from './options.ts'
import { fixtureOn } from './testing/fixture.ts'

const name = 'rabbitmq-tls'
const url = await ensure(name)
const files = certificatesOf(name)
const ca = readFileSync(files.authority)
const port = portsOfNode(name)['amqps']
const fixture = fixtureOn(name, url)
const forever = new AbortController().signal

async function roundTrip(options: Parameters<typeof fixture.connect>[0]): Promise<void> {
  const driver = await fixture.connect(options)
  const topic = fixture.topic()
  await driver.declare(topic, forever)
  const source = await fixture.open(driver, topic)
  expect((await driver.send([fixture.message(topic)], { signal: forever }))[0]?.ok).toBe(true)
  expect((await fixture.receive(source, 1)).length).toBe(1)
}
const refusal = async (connecting: Promise<unknown>): Promise<MessagingError> => {
  const error = await connecting.then(
    () => undefined,
    (thrown: unknown) => thrown,
  )
  expect(error).toBeInstanceOf(MessagingError)
  return error as MessagingError
}

describe('TLS', () => {
  it('carries messages when the authority is known', () => roundTrip({ url, tls: { ca } }))
  it('takes the certificates from the URL, too', () =>
    roundTrip(optionsFromUrl(`${url}?ca=${encodeURIComponent(files.authority)}`)))
  it('lets a client in by its certificate alone', () =>
    roundTrip({
      url: `amqps://127.0.0.1:${port}`,
      login: 'external',
      tls: { ca, cert: readFileSync(files.client), key: readFileSync(files.clientKey) },
    }))
  it('trusts nobody whom it does not know', async () => {
    const error = await refusal(fixture.connect({ url }))
    expect(error.code).toBe('unauthorized')
    expect(error.message).toMatch(/certificate/)
  })
  it('checks the name of the server', async () => {
    const error = await refusal(fixture.connect({ url, tls: { ca, servername: 'elsewhere.example' } }))
    expect(error.code).toBe('unauthorized')
  })
  it('asks for a certificate where that is how to log in', () => {
    expect(() => settingsOf({ url, login: 'external' })).toThrow(/needs amqps:\/\/ and tls/)
  })
})

describe('logging in', () => {
  const plain = `127.0.0.1:${portsOfNode(name)['amqp']}`
  it('fails at once with a wrong password, and shows it nowhere', async () => {
    const started = performance.now()
    const error = await refusal(fixture.connect({ url: `amqp://guest:hunter2@${plain}` }, { connectTimeoutMs: 60_000 }))
    expect(error.code).toBe('unauthorized')
    // Long before it would give up trying.
    expect(performance.now() - started).toBeLessThan(20_000)
    expect(inspect(error, { depth: 10, showHidden: true })).not.toMatch(/hunter2/)
    expect(inspect(fromUrl(`amqp://guest:hunter2@${plain}`), { depth: 2 })).not.toMatch(/hunter2/)
  })
  it('fails with a virtual host that is not there', async () => {
    const error = await refusal(
      fixture.connect({ url: `amqp://guest:guest@${plain}/nowhere` }, { connectTimeoutMs: 1_500 }),
    )
    // A broker that is starting says the same.
    expect(error.code).toBe('unavailable')
    expect(error.message).toMatch(/virtual host "nowhere"/)
  })
  it('says that nobody is there', async () => {
    const error = await refusal(fixture.connect({ url: 'amqp://127.0.0.1:1' }, { connectTimeoutMs: 500 }))
    expect(error.code).toBe('unavailable')
    expect(error.message).toMatch(/ECONNREFUSED 127\.0\.0\.1:1; is it running, and is the address right\?/)
  })
  it('says that TLS is spoken, or is not, where it was expected otherwise', async () => {
    const secret = await refusal(
      fixture.connect({ url: `amqp://guest:guest@127.0.0.1:${port}` }, { connectTimeoutMs: 1_500 }),
    )
    expect(secret).toMatchObject({ code: 'unavailable', message: expect.stringMatching(/is amqps:\/\/ needed there/) })
    const open = await refusal(
      fixture.connect({ url: `amqps://guest:guest@${plain}`, tls: { ca } }, { connectTimeoutMs: 1_500 }),
    )
    expect(open).toMatchObject({ code: 'unavailable', message: expect.stringMatching(/does not speak TLS/) })
  })
  it('does not wait for a host that takes the call and says nothing', async () => {
    const proxy = await faultProxy({ to: { host: '127.0.0.1', port: 1 } })
    fixture.after(() => proxy.close())
    proxy.blackHole()
    const started = performance.now()
    const error = await refusal(fixture.connect({ url: `amqp://127.0.0.1:${proxy.port}` }, { connectTimeoutMs: 500 }))
    expect(error.code).toBe('unavailable')
    expect(performance.now() - started).toBeLessThan(10_000)
  })
  it('waits for a broker that starts later, and hears an abort meanwhile', async () => {
    let there = false
    let sentAway = 0
    const door = createServer((caller) => {
      if (!there) {
        caller.destroy()
        if (++sentAway === 6) tried.resolve()
        return
      }
      const inside = createConnection(portsOfNode(name)['amqp'] as number, '127.0.0.1')
      for (const each of [caller, inside]) each.on('error', () => {})
      caller.pipe(inside).pipe(caller)
    })
    const tried = Promise.withResolvers<void>()
    await once(door.listen(0, '127.0.0.1'), 'listening')
    fixture.after(async () => void door.close())
    const at = { url: `amqp://guest:guest@127.0.0.1:${(door.address() as AddressInfo).port}` }
    const given = new AbortController()
    const aborted = refusal(fixture.connect(at, { signal: given.signal, connectTimeoutMs: 60_000 }))
    const connecting = fixture.connect(at, { connectTimeoutMs: 60_000 })
    await Promise.race([tried.promise, connecting])
    given.abort()
    expect((await aborted).code).toBe('unavailable')
    there = true
    await connecting
  })
  it('goes to the next host of several', () =>
    roundTrip({ url: `amqp://guest:guest@127.0.0.1:1,${plain},127.0.0.1:2` }))
  it('refuses parameters by name', () => {
    expect(() => fromUrl('amqp://localhost?hartbeat=3')).toThrow(/hartbeat/)
    expect(() => fromUrl('amqp://localhost?heartbeatS=0')).toThrow(/heartbeatS/)
    expect(() => fromUrl(`amqp://localhost/${'v'.repeat(256)}`)).toThrow(/255 bytes/)
    expect(() => fromUrl('kafka://localhost')).toThrow(/amqp:/)
  })
})
