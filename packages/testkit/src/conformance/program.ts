// One program in acts, which every transport plays. What it says is held against one golden file.
import { setTimeout as sleep } from 'node:timers/promises'
import type { Broker, ConsumeExtension, Topic, TopicOptions } from '@posthorn/core'
import { fixed, MessagingError, nack, pattern, reject, retry } from '@posthorn/core'
import type { CapabilityRow } from '../capability-table.ts'
import { transcript } from '../transcript.ts'
import type { Stage } from './stage.ts'

interface Body {
  readonly key: string
  readonly n: number
}

/** What an act plays on. */
export interface Scene {
  readonly broker: Broker
  readonly topic: Topic<Body>
  /** Records, as the last in `use`. */
  readonly record: ConsumeExtension
  /** Resolves when so many starts are recorded. */
  readonly lines: (count: number) => Promise<void>
  /** One more line of the transcript. */
  readonly say: (line: string) => void
}

/** The one cell of the capability table that allows an act to be refused, how, and which line of `explain()` says so before. */
export interface Exception {
  readonly cell: keyof CapabilityRow
  readonly lacking: (row: CapabilityRow) => boolean
  readonly code: 'unsupported' | 'unroutable'
  readonly promise: string
}

/** A part of the program. */
export interface Act {
  readonly name: string
  readonly topic: TopicOptions<Body>
  readonly unless?: Exception | undefined
  readonly play: (scene: Scene) => Promise<void>
}

const keyed: TopicOptions<Body> = { key: ({ key }) => key, groups: ['a'], partitions: 2 }
const without = (
  cell: 'cancel' | 'priority' | 'atomic' | 'effects' | 'transactional' | 'replay' | 'query',
  promise: string,
): Exception => ({
  cell,
  lacking: (row) => !row[cell],
  code: 'unsupported',
  promise,
})
/** The broker with calls that the compiler opens only after this question. */
function having<N extends 'replay' | 'query'>(
  broker: Broker,
  need: N,
): NonNullable<ReturnType<typeof broker.having<N>>> {
  const able = broker.having(need)
  if (able === undefined) throw new MessagingError('unsupported', `${broker.name} has no ${need}`)
  return able
}
const fine = async (): Promise<void> => {}

async function steps({ broker, topic, record, lines }: Scene): Promise<void> {
  const use = [retry({ attempts: 3, backoff: fixed(10) }), record]
  await broker.consume(topic, { group: 'a', use }, async ({ body: { key, n }, attempt }) => {
    if (key === 'fails' && n === 1 && attempt < 3) throw new Error('not yet')
    if (key === 'dies' && n === 1) throw new Error('never')
    if (key === 'goes back' && n === 0 && attempt === 1) return nack({ afterMs: 20 })
    if (key === 'is refused' && n === 0) return reject('no')
    return undefined
  })
  await broker.consume(topic, { group: 'b', use }, fine)
  const keys = ['fails', 'dies', 'goes back', 'is refused', 'is fine']
  for (let n = 0; n < 3; n++) for (const key of keys) await broker.producer().send(topic, { key, n })
  await lines(35)
}

async function handleOne(scene: Scene, send: () => Promise<unknown>): Promise<void> {
  const { broker, topic, record, lines } = scene
  await broker.consume(topic, { group: 'a', use: [record] }, fine)
  await send()
  await lines(1)
}

/** The whole program. */
export const program: readonly Act[] = [
  { name: 'steps', topic: { ...keyed, groups: ['a', 'b'] }, play: steps },
  {
    name: 'late-reader',
    topic: { ...keyed, groups: [] },
    unless: { cell: 'history', lacking: ({ history }) => !history, code: 'unroutable', promise: 'before its readers' },
    async play({ broker, topic, record, lines }) {
      await broker.producer().send(topic, { key: 'k', n: 1 })
      await broker.consume(topic, { group: 'a', use: [record] }, fine)
      await lines(1)
    },
  },
  {
    name: 'delayed',
    topic: keyed,
    unless: { cell: 'delay', lacking: ({ delay }) => delay !== 'any', code: 'unsupported', promise: 'delay' },
    play: (scene) =>
      handleOne(scene, () => scene.broker.producer().send(scene.topic, { key: 'k', n: 1 }, { delayMs: 50 })),
  },
  {
    name: 'cancelled',
    topic: keyed,
    unless: without('cancel', 'cancel'),
    async play(scene) {
      const producer = scene.broker.producer()
      scene.say(await producer.cancel(await producer.send(scene.topic, { key: 'k', n: 1 }, { delayMs: 2_000 })))
      await handleOne(scene, () => producer.send(scene.topic, { key: 'k', n: 2 }))
    },
  },
  {
    name: 'in-a-transaction',
    topic: keyed,
    unless: without('transactional', 'transaction'),
    async play(scene) {
      const { broker, topic } = scene
      const send = (n: number, fail: boolean): Promise<void> =>
        broker.store.transaction(async (tx) => {
          await broker.producer().send(topic, { key: 'k', n }, { tx })
          if (fail) throw new Error('rolled back')
        })
      await broker.store.transaction(async () => {})
      await send(1, true).catch(({ message }: Error) => scene.say(message))
      await handleOne(scene, () => send(2, false))
    },
  },
  {
    name: 'priority',
    topic: keyed,
    unless: without('priority', 'priority'),
    play: (scene) =>
      handleOne(scene, () => scene.broker.producer().send(scene.topic, { key: 'k', n: 1 }, { priority: 5 })),
  },
  {
    name: 'all-or-none',
    topic: keyed,
    unless: without('atomic', 'atomic batch'),
    async play({ broker, topic, record, lines }) {
      await broker.consume(topic, { group: 'a', use: [record] }, fine)
      const bodies = [1, 2, 3].map((n) => ({ body: { key: `${n}`, n } }))
      await broker.producer().sendBatch(topic, bodies, { atomic: true })
      await lines(3)
    },
  },
  {
    name: 'once-each',
    topic: keyed,
    unless: without('effects', 'exactly-once-sends'),
    async play({ broker, topic, record, lines }) {
      const once = { group: 'a', use: [record], guarantee: 'exactly-once-sends' } as const
      await broker.consume(topic, once, async ({ body, producer }) => {
        if (body.n < 3) await producer.send(topic, { key: body.key, n: body.n + 1 })
      })
      await broker.producer().send(topic, { key: 'k', n: 1 })
      await lines(3)
    },
  },
  {
    name: 'replayed',
    topic: keyed,
    unless: without('replay', 'replay'),
    async play(scene) {
      const able = having(scene.broker, 'replay')
      await handleOne(scene, () => scene.broker.producer().send(scene.topic, { key: 'k', n: 1 }))
      const replay = await able.replay(scene.topic, { from: 'earliest' }, async ({ body, replay }) => {
        scene.say(`${JSON.stringify(body)} again: ${replay}`)
      })
      await replay.done
    },
  },
  {
    name: 'queried',
    topic: keyed,
    unless: without('query', 'query'),
    async play(scene) {
      const able = having(scene.broker, 'query')
      await handleOne(scene, () => scene.broker.producer().send(scene.topic, { key: 'k', n: 1 }))
      for await (const { key, body } of able.query(scene.topic, { key: 'k' }))
        scene.say(`${key} is ${JSON.stringify(body)}`)
    },
  },
  {
    name: 'filtered',
    topic: keyed,
    async play({ broker, topic, record, lines }) {
      await broker.consume(topic, { group: 'tagged', filter: { tag: 'paid' }, use: [record] }, fine)
      for (const [n, tag] of ['placed', 'paid', 'sent', 'paid'].entries())
        await broker.producer().send(topic, { key: 'k', n }, { tag })
      await lines(2)
    },
  },
  {
    name: 'by-pattern',
    topic: { ...keyed, groups: ['named'] },
    async play({ broker, topic, record, lines }) {
      await broker.consume(pattern<Body>(topic.name.replace(/[^.]+$/, '*')), { group: 'all', use: [record] }, fine)
      await broker.producer().send(topic, { key: 'k', n: 1 })
      await lines(1)
    },
  },
]

/** What an act leaves: its lines under its own name, whatever the topic is called here. */
export async function played(
  act: Act,
  topic: Topic<Body>,
  broker: Broker,
  { until, quietMs }: Pick<Stage, 'until' | 'quietMs'>,
): Promise<string> {
  const record = transcript()
  const said: string[] = []
  await act.play({
    broker,
    topic,
    record: record.extension,
    lines: (count) => until(`${count} starts of ${act.name}`, () => record.lines.length >= count).then(() => {}),
    say: (line) => void said.push(`${act.name} says ${line}`),
  })
  // What comes twice, or too late to be wanted, is a difference, too.
  await sleep(quietMs)
  return [record.normalised().replaceAll(topic.name, act.name), ...said].filter((line) => line !== '').join('\n')
}
