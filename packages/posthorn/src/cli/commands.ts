import { type Broker, type DeadLetter, MessagingError, type Topic, topic } from '@posthorn/core'

/** What a command was called with. */
export interface Call {
  readonly topic: string
  /** The configuration maps it to what somebody else owns, so that it need not be in the list of topics. */
  readonly mapped: boolean
  readonly group: string | undefined
  readonly id: string | undefined
  readonly reason: DeadLetter['reason'] | undefined
  readonly limit: number
  readonly ratePerSecond: number | undefined
  readonly yes: boolean
  readonly beyondInbox: boolean
  /** Of work that takes long. */
  readonly progress: (text: string) => void
}

/** A command answers with a value for `--json` and lines for people. */
export interface Answer {
  readonly value: unknown
  readonly lines: readonly string[]
  /** What is to be known beside the answer. */
  readonly note?: string | undefined
  /** Unhealthy, or nothing was found where something was named. */
  readonly failed?: boolean | undefined
}

/** What a command does, and the options that it takes beside those of all. */
export interface Command {
  readonly takes: readonly string[]
  readonly run: (broker: Broker, call: Call) => Promise<Answer>
}

const ofLetters = ['topic', 'group', 'id', 'reason'] as const

const line = (letter: DeadLetter): string =>
  `${letter.at.toISOString()}  ${letter.reason.padEnd(11)}  ${letter.id}  ${letter.key ?? '-'}  ${letter.attempts} tries  ${clean(letter.error ?? '')}`

/** Text from messages, safe for a terminal. */
function clean(text: string): string {
  return text.replace(/\p{Cc}/gu, ' ').slice(0, 200)
}

function shown(letter: DeadLetter): Record<string, unknown> {
  const { id, topic, group, key, headers, reason, error, attempts, at, history, body, raw } = letter
  return {
    id,
    topic,
    group,
    key,
    headers,
    reason,
    error,
    attempts,
    at,
    history,
    body,
    raw: Buffer.from(raw).toString('base64'),
  }
}

function chosen(call: Call): ((letter: DeadLetter) => boolean) | undefined {
  const { id, reason } = call
  if (id === undefined && reason === undefined) return undefined
  return (letter) => (id === undefined || letter.id === id) && (reason === undefined || letter.reason === reason)
}

/** What is chosen, with a word at every hundredth of it: this may take long. */
function told(call: Call, done: string): (letter: DeadLetter) => boolean {
  const where = chosen(call)
  let seen = 0
  return (letter) => {
    const takes = where === undefined || where(letter)
    if (takes && ++seen % 100 === 0) call.progress(`${seen} ${done}`)
    return takes
  }
}

/** The topic as it is on the broker. One that is not there is refused: to look at a mistyped name must not make it. */
async function topicOf(broker: Broker, { topic: name, mapped }: Call): Promise<Topic> {
  if (mapped) return topic(name)
  const all = await broker.topics.list()
  const found = all.find((each) => each.name === name)
  if (found !== undefined) return topic(name, { partitions: found.partitions })
  const names = all.slice(0, 10).map((each) => each.name)
  throw new MessagingError(
    'not-found',
    `there is no topic ${name}; there ${names.length === 0 ? 'is none at all: see that url and namespace are right' : `are ${names.join(', ')}${all.length > 10 ? ', ...' : ''}`}`,
  )
}

async function letters(broker: Broker, call: Call): Promise<readonly DeadLetter[]> {
  const out: DeadLetter[] = []
  const dead = broker.deadLetters(await topicOf(broker, call), { group: call.group })
  for await (const letter of dead.list({ where: chosen(call), limit: call.limit })) out.push(letter)
  return out
}

/** Counts of what would happen, and that it did not. */
async function onlyWith(yes: string, broker: Broker, call: Call): Promise<Answer> {
  const { matched } = await broker
    .deadLetters(await topicOf(broker, call), { group: call.group })
    .redrive({ where: chosen(call), dryRun: true })
  return { value: { matched, done: false }, lines: [`${matched} dead letters would be ${yes}; say --yes to do it`] }
}

/** Every command by its words. */
export const commands: Readonly<Record<string, Command>> = {
  'dead-letters list': {
    takes: [...ofLetters, 'limit'],
    run: async (broker, call) => {
      const found = await letters(broker, { ...call, limit: call.limit + 1 })
      const first = found.slice(0, call.limit)
      return {
        value: first.map(shown),
        lines: first.length === 0 ? ['no dead letters'] : first.map(line),
        note: found.length > call.limit ? `these are the first ${call.limit}; --limit N lists more` : undefined,
      }
    },
  },
  'dead-letters show': {
    takes: ofLetters,
    run: async (broker, call) => {
      if (call.id === undefined) throw new MessagingError('invalid', 'dead-letters show: say which by --id')
      const [letter] = await letters(broker, { ...call, limit: 1 })
      if (letter === undefined)
        return { value: null, lines: [`no dead letter ${call.id} of ${call.topic}`], failed: true }
      const history = letter.history.map(
        (each) => `  try ${each.attempt} at ${each.at.toISOString()}: ${clean(each.error)}`,
      )
      const body =
        letter.body === undefined
          ? `raw (base64): ${Buffer.from(letter.raw).toString('base64')}`
          : clean(JSON.stringify(letter.body))
      return { value: shown(letter), lines: [line(letter), ...history, body] }
    },
  },
  'dead-letters redrive': {
    takes: [...ofLetters, 'rate', 'beyond-inbox', 'yes'],
    run: async (broker, call) => {
      if (!call.yes) return onlyWith('driven again', broker, call)
      const count = await broker.deadLetters(await topicOf(broker, call), { group: call.group }).redrive({
        ratePerSecond: call.ratePerSecond,
        beyondInbox: call.beyondInbox,
        where: told(call, 'driven again'),
      })
      return {
        value: count,
        lines: [
          `${count.matched} matched, ${count.redriven} driven again, ${count.failed} failed`,
          ...(count.refused > 0
            ? [
                `${count.refused} are older than the inbox of the group remembers and were left; --beyond-inbox drives them again, too`,
              ]
            : []),
        ],
        failed: count.failed + count.refused > 0,
      }
    },
  },
  'dead-letters discard': {
    takes: [...ofLetters, 'yes'],
    run: async (broker, call) => {
      if (!call.yes) return onlyWith('discarded', broker, call)
      const { discarded } = await broker
        .deadLetters(await topicOf(broker, call), { group: call.group })
        .discard({ where: told(call, 'discarded') })
      return { value: { discarded }, lines: [`${discarded} discarded`] }
    },
  },
  lag: {
    takes: ['topic', 'group'],
    run: async (broker, call) => {
      if (call.group === undefined) throw new MessagingError('invalid', 'lag: say whose by --group')
      const lag = await broker.lag(await topicOf(broker, call), { group: call.group })
      const oldest = lag.oldestMs === undefined ? '' : `, the oldest is ${Math.round(lag.oldestMs)} ms old`
      return { value: lag, lines: [`${lag.backlog} wait${oldest}`] }
    },
  },
  'topics list': {
    takes: [],
    run: async (broker) => {
      const found = await broker.topics.list()
      const width = Math.max(0, ...found.map(({ name }) => name.length))
      const shown = found.map(
        ({ name, partitions, groups }) =>
          `${name.padEnd(width)}  ${partitions} partitions  ${groups.length === 0 ? 'no groups' : groups.join(', ')}`,
      )
      return { value: found, lines: shown.length === 0 ? ['no topics'] : shown }
    },
  },
  'topics delete': {
    takes: ['topic', 'yes'],
    run: async (broker, call) => {
      const doomed = await topicOf(broker, call)
      if (call.yes) {
        const deleted = await broker.topics.delete(doomed)
        return { value: { ...deleted, deleted: true }, lines: [`${deleted.name} is deleted`] }
      }
      const { groups = [] } = (await broker.topics.list()).find(({ name }) => name === call.topic) ?? {}
      const waiting = await Promise.all(
        groups.map(async (group) => ({ group, backlog: (await broker.lag(doomed, { group })).backlog })),
      )
      const told = waiting.map(({ group, backlog }) => `  ${group}: ${backlog} wait`)
      return {
        value: { name: call.topic, groups: waiting, deleted: false },
        lines: [
          `${call.topic} would be deleted with its messages, groups and dead letters; say --yes to do it`,
          ...told,
        ],
      }
    },
  },
  health: {
    takes: [],
    run: async (broker) => {
      const health = await broker.health()
      return {
        value: health,
        lines: health.checks.map(({ name, ok, detail }) => `${ok ? 'ok ' : 'BAD'}  ${name}: ${detail}`),
        failed: !health.ok,
      }
    },
  },
  explain: {
    takes: ['topic', 'group'],
    run: async (broker, call) => {
      if (call.group === undefined) throw new MessagingError('invalid', 'explain: say for whom by --group')
      const explanation = await broker.explain(await topicOf(broker, call), { group: call.group })
      return { value: explanation.promises, lines: explanation.toString().split('\n') }
    },
  },
}

/** Commands that are about the whole broker. */
export const withoutTopic: readonly string[] = ['health', 'topics list']
