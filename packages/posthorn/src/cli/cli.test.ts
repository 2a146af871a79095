import { execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { ensure } from '../../../../scripts/brokers/lifecycle.ts'
import { type Broker, connect, pattern, topic } from '../index.ts'

const main = join(import.meta.dirname, 'main.ts')
const folder = mkdtempSync(join(tmpdir(), 'posthorn-cli-'))

interface Ran {
  readonly code: number
  readonly out: string
  readonly error: string
}
const run = (env: Record<string, string>, ...words: string[]): Promise<Ran> =>
  new Promise((resolve) => {
    const { POSTHORN_URL: _, ...rest } = process.env
    execFile(process.execPath, [main, ...words], { cwd: folder, env: { ...rest, ...env } }, (error, out, err) =>
      resolve({ code: error === null ? 0 : Number(error.code), out, error: err }),
    )
  })

const urls = {
  sqlite: async () => `sqlite:${join(folder, 'cli.db')}`,
  rabbitmq: () => ensure('rabbitmq'),
  kafka: () => ensure('kafka'),
}

/** Three dead letters of a group. */
async function broken(broker: Broker, name: string): Promise<void> {
  const orders = topic<{ n: number }>(name, { groups: ['billing'], partitions: 3 })
  const dead = Promise.withResolvers<void>()
  let letters = 0
  broker.on('dead-letter', () => void (++letters === 3 && dead.resolve()))
  const consumer = await broker.consume(orders, { group: 'billing' }, async ({ body }) => {
    if (body.n > 0) return { verdict: 'reject', reason: `number ${body.n}` }
    return undefined
  })
  for (const n of [1, 2, 3]) await broker.producer().send(orders, { n }, { id: `id-${n}` })
  await dead.promise
  await consumer.stop()
}

describe.each(['sqlite', 'rabbitmq', 'kafka'] as const)('npx posthorn on %s', (name) => {
  it('lists, shows, redrives and discards dead letters, and tells lag, health and promises', async () => {
    const url = await urls[name]()
    const namespace = `cli${Date.now().toString(36)}`
    await using broker = await connect({ url, namespace, log: false })
    await broken(broker, 'orders')
    const env = { POSTHORN_URL: url, POSTHORN_NAMESPACE: namespace }
    const of = ['--topic', 'orders', '--group', 'billing']

    const listed = await run(env, 'dead-letters', 'list', ...of, '--json')
    expect(listed.error).toBe('')
    const letters = JSON.parse(listed.out) as { id: string; reason: string; error: string }[]
    expect(letters.map((letter) => `${letter.id} ${letter.reason} ${letter.error}`).sort()).toEqual(
      [1, 2, 3].map((n) => `id-${n} rejected number ${n}`),
    )

    const shown = await run(env, 'dead-letters', 'show', ...of, '--id', 'id-2')
    expect(shown.out).toMatch(/id-2[\s\S]*\{"n":2\}/)

    const unsure = await run(env, 'dead-letters', 'redrive', ...of)
    expect(unsure.out).toMatch(/^3 dead letters would be driven again; say --yes/)
    const discarded = await run(env, 'dead-letters', 'discard', ...of, '--id', 'id-1', '--yes', '--json')
    expect(JSON.parse(discarded.out)).toEqual({ discarded: 1 })
    const redriven = await run(env, 'dead-letters', 'redrive', ...of, '--yes', '--json')
    expect(JSON.parse(redriven.out)).toEqual({ matched: 2, redriven: 2, failed: 0, refused: 0 })

    const lag = await run(env, 'lag', ...of, '--json')
    expect(JSON.parse(lag.out)).toMatchObject({ backlog: 2 })
    const typo = await run(env, 'dead-letters', 'list', '--topic', 'orders', '--group', 'biling')
    expect(typo).toMatchObject({ code: 0, out: 'no dead letters\n', error: expect.stringMatching(/biling.*billing/) })
    const ofNone = await run(env, 'dead-letters', 'list', '--topic', 'orders')
    expect(ofNone).toMatchObject({ code: 0, error: expect.stringMatching(/of no group; --group says whose: billing/) })
    const health = await run(env, 'health')
    expect([health.code, health.error]).toEqual([0, ''])
    const explained = await run(env, 'explain', ...of)
    expect(explained.out).toMatch(new RegExp(`orders for billing on ${name}`))
    expect(explained.error).toMatch(/broker\.explain\(topic, options\)/)

    const audit = await broker.consume(pattern('orders.#'), { group: 'audit' }, async () => {})
    await audit.stop()
    const ofPattern = await run(env, 'lag', '--topic', 'orders.#', '--group', 'audit', '--json')
    expect([ofPattern.error, JSON.parse(ofPattern.out)]).toEqual([
      '',
      expect.objectContaining({ backlog: expect.any(Number) }),
    ])
    const lettersOfPattern = await run(env, 'dead-letters', 'list', '--topic', 'orders.#', '--group', 'audit')
    expect(lettersOfPattern).toMatchObject({
      code: 1,
      error: expect.stringMatching(/dead letters lie with their topic/),
    })

    const topics = await run(env, 'topics', 'list', '--json')
    expect(JSON.parse(topics.out)).toEqual([{ name: 'orders', partitions: 3, groups: ['billing'] }])
    const mistyped = await run(env, 'lag', '--topic', 'order', '--group', 'billing')
    expect(mistyped).toMatchObject({ code: 1, error: expect.stringMatching(/no topic order; there are orders/) })
    const undecided = await run(env, 'topics', 'delete', '--topic', 'orders')
    expect(undecided.out).toMatch(/^orders would be deleted.*say --yes[\s\S]*billing: 2 wait/)
    const deleted = await run(env, 'topics', 'delete', '--topic', 'orders', '--yes', '--json')
    expect(JSON.parse(deleted.out)).toMatchObject({ name: 'orders', deleted: true })
    expect((await run(env, 'topics', 'list')).out).toBe('no topics\n')
  }, 120_000)
})

describe('npx posthorn', () => {
  it('tells how far it is with what takes long, beside its answer', async () => {
    const url = `sqlite:${join(folder, 'long.db')}`
    await using broker = await connect({ url, log: false })
    const many = topic<number>('many', { groups: ['billing'] })
    const dead = Promise.withResolvers<void>()
    let letters = 0
    broker.on('dead-letter', () => void (++letters === 250 && dead.resolve()))
    const refuse = async () => ({ verdict: 'reject', reason: 'no' }) as const
    const consumer = await broker.consume(many, { group: 'billing' }, refuse)
    await broker.producer().sendBatch(
      many,
      Array.from({ length: 250 }, (_, n) => ({ body: n })),
    )
    await dead.promise
    await consumer.stop()
    const of = ['--topic', 'many', '--group', 'billing', '--yes', '--json']
    const discarded = await run({ POSTHORN_URL: url }, 'dead-letters', 'discard', ...of)
    expect(JSON.parse(discarded.out)).toEqual({ discarded: 250 })
    expect(discarded.error).toBe('100 discarded\n200 discarded\n')
  }, 60_000)

  it('says that a list was cut short, and where it ends', async () => {
    const env = { POSTHORN_URL: await urls.sqlite(), POSTHORN_NAMESPACE: 'cut' }
    await using broker = await connect({ url: env.POSTHORN_URL, namespace: 'cut', log: false })
    await broken(broker, 'orders')
    const of = ['dead-letters', 'list', '--topic', 'orders', '--group', 'billing']
    const cut = await run(env, ...of, '--limit', '2', '--json')
    expect(JSON.parse(cut.out)).toHaveLength(2)
    expect(cut.error).toBe('these are the first 2; --limit N lists more\n')
    expect((await run(env, ...of, '--limit', '3')).error).toBe('')
  }, 60_000)

  it('ends without a word where nobody reads its answer to the end', async () => {
    const env = { ...process.env, POSTHORN_URL: await urls.sqlite() }
    const child = spawn(process.execPath, [main, 'health'], { cwd: folder, env })
    child.stdout.destroy()
    let error = ''
    child.stderr.on('data', (text) => {
      error += text
    })
    const [code] = await once(child, 'close')
    expect({ code, error }).toEqual({ code: 0, error: '' })
  }, 60_000)

  it('tells its commands by --help, -h and help', async () => {
    for (const words of [['--help'], ['-h'], ['help'], ['lag', '-h']])
      expect(await run({}, ...words)).toMatchObject({
        code: 0,
        error: '',
        out: expect.stringMatching(/^posthorn dead-letters/),
      })
  }, 60_000)

  it('says what is wrong with a call, and exits with 2', async () => {
    const env = { POSTHORN_URL: await urls.sqlite() }
    expect(await run(env, 'dead-letters')).toMatchObject({ code: 2 })
    expect(await run(env, 'lag', '--group', 'g')).toMatchObject({ code: 2, error: expect.stringMatching(/--topic/) })
    expect(await run(env, 'lag', '--topic', 't')).toMatchObject({ code: 2, error: expect.stringMatching(/--group/) })
    expect(await run(env, 'topics', 'delete')).toMatchObject({ code: 2, error: expect.stringMatching(/--topic/) })
    expect(await run(env, 'health', '--jsn')).toMatchObject({ code: 2 })
    for (const [words, says] of [
      [['lagg', '--topic', 't'], /there is no command lagg\b.*did you mean lag\?/],
      [['lag', 'orders'], /there is no command lag orders\b.*did you mean lag\?/],
      [['dead-letters'], /there is no command dead-letters\b/],
      [[], /say which command/],
      [['health', '-x'], /^there is no option -x \(posthorn --help tells all\)\n$/],
      [['health', '--jsn'], /^there is no option --jsn \(posthorn --help tells all\)\n$/],
      [['health', '--topic', 't'], /health takes no --topic/],
      [['lag', '--topic', 't', '--group', 'g', '--yes'], /lag takes no --yes/],
      [
        ['dead-letters', 'list', '--topic', 't', '--reason', 'tries'],
        /--reason is tries; give one of rejected, attempts, expired/,
      ],
    ] as const) {
      const { code, error } = await run(env, ...words)
      expect([code, error]).toEqual([2, expect.stringMatching(says)])
    }
    expect(await run({}, 'health')).toMatchObject({ code: 2, error: expect.stringMatching(/POSTHORN_URL/) })
    expect(await run(env, 'dead-letters', 'list', '--topic', 't', '--limit', 'x')).toMatchObject({
      code: 2,
      error: expect.stringMatching(/--limit/),
    })
  }, 60_000)
})
