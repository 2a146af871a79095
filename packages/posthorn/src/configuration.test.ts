import { mkdtempSync, writeFileSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { configuration, connect, isMessagingError, topic } from './index.ts'

const folder = mkdtempSync(join(tmpdir(), 'posthorn-configuration-'))
let files = 0
const file = (value: unknown): string => {
  const name = join(folder, `${++files}.json`)
  writeFileSync(name, typeof value === 'string' ? value : JSON.stringify(value))
  return name
}

describe('configuration', () => {
  it('lets code override the environment, and the environment the file, name by name', async () => {
    const found = await configuration({
      file: file({
        url: 'memory:',
        namespace: 'file',
        topics: { orders: { partitions: 4, retentionMs: 5 } },
        consumers: { billing: { concurrency: 2 } },
      }),
      env: { POSTHORN_NAMESPACE: 'env', POSTHORN_TOPICS: '{"orders":{"partitions":8}}' },
      over: { consumers: { billing: { window: 9 } }, store: undefined },
    })
    expect(found).toEqual({
      url: 'memory:',
      namespace: 'env',
      topics: { orders: { partitions: 8, retentionMs: 5 } },
      consumers: { billing: { concurrency: 2, window: 9 } },
    })
  })

  it('is what a consumer does, where the code says nothing', async () => {
    await using broker = await connect({
      url: 'memory:',
      log: false,
      consumers: { billing: { retry: { attempts: 2, firstMs: 1, maxMs: 2 } } },
    })
    const orders = topic<number>('orders', { groups: ['billing'] })
    const dead = Promise.withResolvers<number>()
    broker.on('dead-letter', (letter) => dead.resolve(letter.attempts))
    await broker.consume(orders, { group: 'billing' }, async () => {
      throw new Error('no')
    })
    await broker.producer().send(orders, 1)
    expect(await dead.promise).toBe(2)
  })

  it.each([{ maxMs: 1 }, { firstMs: 90_000 }])(
    'may say one wait of a retry, %j, and the other fits it',
    async (waits) => {
      await using broker = await connect({
        url: 'memory:',
        consumers: { billing: { retry: { attempts: 2, ...waits } } },
      })
      await broker.consume(topic('orders'), { group: 'billing' }, async () => {})
    },
  )

  const broken: readonly (readonly [string, unknown, RegExp])[] = [
    ['a file that is no JSON', '{ url: ', /is not JSON/],
    [
      'a setting of another name',
      { url: 'memory:', namespaces: 'x' },
      /no option "namespaces"; did you mean namespace\?/,
    ],
    ['a broker that is a number', { url: 7 }, /url is 7; give a text/],
    ['no broker', {}, /give url in .*POSTHORN_URL/],
    [
      'partitions that are none',
      { url: 'memory:', topics: { orders: { partitions: 0 } } },
      /topics\.orders: partitions is 0; give a whole number from 1/,
    ],
    [
      'a topic setting of another name',
      { url: 'memory:', topics: { orders: { partition: 3 } } },
      /topics\.orders: .*did you mean partitions\?/,
    ],
    ['a topic with a wildcard', { url: 'memory:', topics: { 'orders.*': {} } }, /topics has the name "orders\.\*"/],
    [
      'a group without tries',
      { url: 'memory:', consumers: { billing: { retry: {} } } },
      /consumers\.billing\.retry has no attempts/,
    ],
    [
      'a longest wait below the first',
      { url: 'memory:', consumers: { billing: { retry: { attempts: 2, firstMs: 5, maxMs: 1 } } } },
      /consumers\.billing\.retry: maxMs is 1; give no less than firstMs \(5\)/,
    ],
    [
      'a concurrency in words',
      { url: 'memory:', consumers: { billing: { concurrency: 'many' } } },
      /consumers\.billing: concurrency is "many"/,
    ],
    [
      'an answer that nobody offers',
      { url: 'memory:', consumers: { billing: { onFailure: 'explode' } } },
      /consumers\.billing: onFailure is "explode"/,
    ],
    ['a topology of another name', { url: 'memory:', topology: 'maybe' }, /topology is "maybe"/],
  ]
  it.each(broken)('refuses %s, by its path', async (_, value, message) => {
    const error = await configuration({ file: file(value), env: {} }).catch((each: unknown) => each)
    expect(isMessagingError(error, 'invalid')).toBe(true)
    expect((error as Error).message).toMatch(message)
  })

  it('refuses a named file that is not there, and a URL of a broker that nobody knows', async () => {
    await expect(configuration({ file: join(folder, 'none.json'), env: {} })).rejects.toThrow(
      /none\.json cannot be read/,
    )
    await expect(connect('carrier-pigeon://loft')).rejects.toThrow(/begins with one of/)
    await expect(connect('')).rejects.toThrow(/^connect\(\): an empty text names no broker/)
    await expect(connect('redis://localhost')).rejects.toThrow(/no adapter for redis/)
  })

  it('gives a topic its lanes: what they cannot keep is refused, and what they keep is told', async () => {
    await using broker = await connect({ url: 'memory:', topics: { orders: { partitions: 2 } } })
    const orders = topic('orders', { partitions: 1, key: () => 'k' })
    await expect(broker.consume(orders, { group: 'g', order: 'topic' }, async () => {})).rejects.toThrow(
      /needs one partition, and topic orders has 2/,
    )
    expect(String(await broker.explain(orders, { group: 'g' }))).toContain('by key, 2 lanes')
  })

  it('refuses a slip in its own options', async () => {
    await expect(configuration({ fiel: 'x.json' } as never)).rejects.toThrow(/no option "fiel"; did you mean file\?/)
  })

  it('has a JSON schema of the same names', async () => {
    const schema = JSON.parse(await readFile(new URL('../configuration.schema.json', import.meta.url), 'utf8'))
    const everything = {
      url: 'memory:',
      store: 'memory:x',
      namespace: 'n',
      topology: 'declare',
      connectTimeoutMs: 1,
      singleHost: true,
      needs: ['replay'],
      topics: { orders: { on: {}, partitions: 1, retentionMs: 1 } },
      consumers: {
        billing: {
          concurrency: 1,
          window: 1,
          onFailure: 'skip',
          retry: { attempts: 1, inPlace: 1, firstMs: 1, maxMs: 1 },
        },
      },
    }
    await configuration({ file: file(everything), env: {} })
    const names = (value: object): string[] => Object.keys(value).sort()
    expect(names(schema.properties).filter((name) => name !== '$schema')).toEqual(names(everything))
    expect(names(schema.properties.topics.additionalProperties.properties)).toEqual(names(everything.topics.orders))
    const consumer = schema.properties.consumers.additionalProperties.properties
    expect(names(consumer)).toEqual(names(everything.consumers.billing))
    expect(names(consumer.retry.properties)).toEqual(names(everything.consumers.billing.retry))
  })
})
