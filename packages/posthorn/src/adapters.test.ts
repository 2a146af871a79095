// Which adapter a URL names, and what is said where it cannot be loaded.
import * as kafka from '@posthorn/kafka'
import * as memory from '@posthorn/memory'
import * as rabbitmq from '@posthorn/rabbitmq'
import * as sqlite from '@posthorn/sqlite'
import { expect, test } from 'vitest'
import { adapterOf, notLoaded } from './adapters.ts'
import { connect, topic } from './index.ts'

const urls = ['memory:', 'sqlite:./x.db', 'amqp://h', 'amqps://h', 'kafka://h', 'kafkas://h']
const modules = { kafka, memory, rabbitmq, sqlite }

test.each(Object.entries(modules))('every scheme that %s takes is known to connect()', async (name, { fromUrl }) => {
  const taken = urls.filter((url) => {
    try {
      return fromUrl(url).name === name
    } catch {
      return false
    }
  })
  expect(taken).not.toEqual([])
  for (const url of taken) expect((await adapterOf(url)).name).toBe(name)
})

test.each(Object.entries(modules))('what is no URL is refused by %s', (_, { fromUrl }) => {
  for (const given of [5, undefined, null, {}, Symbol('url')])
    expect(() => fromUrl(given as never)).toThrow(/^fromUrl\(\): the URL is .+; give a text, such as 'sqlite:/)
})

/** As Node says it. */
const failure = (code: string, message: string): Error => Object.assign(new Error(message), { code })

test('what is missing is named, with how to install it', () => {
  const install = '@posthorn/rabbitmq amqplib'
  const from = "imported from '/app/x.js'"
  const adapter = notLoaded(
    install,
    failure('ERR_MODULE_NOT_FOUND', `Cannot find package '@posthorn/rabbitmq' ${from}`),
  )
  expect(adapter).toMatchObject({
    code: 'not-found',
    message: 'the adapter is not installed; run: npm install @posthorn/rabbitmq amqplib',
  })
  const client = notLoaded(install, failure('ERR_MODULE_NOT_FOUND', `Cannot find package 'amqplib' ${from}`))
  expect(client).toMatchObject({
    code: 'not-found',
    message: '@posthorn/rabbitmq is installed, but amqplib is not, which it needs; run: npm install amqplib',
  })
  const old = notLoaded(
    '@posthorn/sqlite',
    failure('ERR_UNKNOWN_BUILTIN_MODULE', 'No such built-in module: node:sqlite'),
  )
  expect(old).toMatchObject({
    code: 'unsupported',
    message: `@posthorn/sqlite needs Node 22.22 or later, and this is Node ${process.versions.node} (No such built-in module: node:sqlite)`,
  })
  const defect = new SyntaxError('x')
  expect(notLoaded(install, defect)).toBe(defect)
})

test('options that are named as elsewhere are asked after', async () => {
  await expect(connect('memory:', { timeout: 5 } as never)).rejects.toThrow('did you mean connectTimeoutMs?')
  const broker = await connect('memory:', { log: false })
  expect(() => broker.producer({ timeoutMs: 5 } as never)).toThrow('did you mean sendTimeoutMs?')
  await broker.close()
})

test('an adapter without options it can read says so', () => {
  for (const wrong of [null, 5, []]) {
    expect(() => memory.memory(wrong as never)).toThrow(/^memory\(\): .*; give an object/)
    expect(() => rabbitmq.rabbitmq(wrong as never)).toThrow(/^rabbitmq\(\): .*; give an object/)
  }
})

test('an adapter that is given a URL says how it is called, and who takes a URL', () => {
  const url = 'amqp://guest:secret@localhost'
  const told = (call: () => unknown): string => {
    try {
      call()
    } catch (error) {
      return String(error)
    }
    return 'taken'
  }
  expect(told(() => rabbitmq.rabbitmq(url as never))).toBe(
    "MessagingError: rabbitmq(): what it is given is a URL; give an object, as in rabbitmq({ url: 'amqp://rabbit-1/shop' }); a URL by itself is for connect()",
  )
  expect(told(() => memory.memory('memory:' as never))).toMatch(
    /as in memory\(\{ log: 'tests' \}\); a URL by itself is for connect\(\)/,
  )
})

test('settle() and sendHalf() speak of what was called', async () => {
  const broker = await connect('memory:', { log: false, store: 'memory:' })
  const orders = topic('orders', { groups: ['billing'] })
  await broker.producer().send(orders, 1)
  const [delivery] = await broker.pull(orders, { group: 'billing' }).receive({ max: 1, waitMs: 5_000 })
  const settle = delivery?.settle as unknown as () => Promise<unknown>
  await expect(settle()).rejects.toThrow(/^settle\(\) was given no verdict; give ack\(\)/)
  await expect(broker.producer().sendHalf(orders, 1, async () => 1)).rejects.toThrow(
    'nobody answers for half messages of orders whose sender vanished; call broker.checkHalf(topic, check) for it at start',
  )
  await broker.close()
})
