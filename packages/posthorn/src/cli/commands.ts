import {
  type Broker,
  type DeadLetter,
  type DeadLetters,
  MessagingError,
  pattern,
  type Source,
  type Topic,
  topic,
} from '@posthorn/core'
import { nearest } from '@posthorn/core/driver'

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

interface Known {
  readonly topic: Topic
  /** Those that the broker lists; undefined where the topic is somebody else's. A pattern's are not among them. */
  readonly groups: readonly string[] | undefined
}

/** The topic as it is on the broker. One that is not there is refused: to look at a mistyped name must not make it. */
async function known(broker: Broker, { topic: name, mapped }: Call): Promise<Known> {
  if (mapped) return { topic: topic(name), groups: undefined }
  const all = await broker.topics.list()
  const found = all.find((each) => each.name === name)
  if (found !== undefined) return { topic: topic(name, { partitions: found.partitions }), groups: found.groups }
  const names = all.slice(0, 10).map((each) => each.name)
  throw new MessagingError(
    'not-found',
    `there is no topic ${name}; there ${names.length === 0 ? 'is none at all: see that url and namespace are right' : `are ${names.join(', ')}${all.length > 10 ? ', ...' : ''}`}`,
  )
}

const wild = (name: string): boolean => /[*#]/.test(name)

/** A topic that is there, or the pattern that a name with wildcards is. */
async function source(broker: Broker, call: Call): Promise<Source> {
  return wild(call.topic) ? pattern(call.topic) : (await known(broker, call)).topic
}

/** The dead letters that a call is about; `note` says why there may be none of those that were meant. */
async function shelf(broker: Broker, call: Call) {
  // Refused there, with what to ask instead.
  if (wild(call.topic)) return { dead: broker.deadLetters(pattern(call.topic), { group: call.group }), note: undefined }
  const { topic, groups } = await known(broker, call)
  return { dead: broker.deadLetters(topic, { group: call.group }), note: whose(call, groups) }
}

function whose({ topic, group }: Call, groups: readonly string[] | undefined): string | undefined {
  if (groups === undefined || (group !== undefined && groups.includes(group))) return undefined
  const there = groups.length === 0 ? 'the broker lists none' : groups.join(', ')
  if (group === undefined) return `these are the dead letters of no group; --group says whose: ${there}`
  const near = nearest(group, groups)
  const hint = near === undefined ? `there are ${there}` : `did you mean ${near}?`
  return `${topic} has no group ${group} of its own, only a pattern's may be called so; ${hint}`
}

async function letters(dead: DeadLetters, call: Call, limit: number): Promise<readonly DeadLetter[]> {
  const out: DeadLetter[] = []
  for await (const letter of dead.list({ where: chosen(call), limit })) out.push(letter)
  return out
}

/** Counts of what would happen, and that it did not. */
async function onlyWith(yes: string, broker: Broker, call: Call): Promise<Answer> {
  const { dead, note } = await shelf(broker, call)
  const { matched } = await dead.redrive({ where: chosen(call), dryRun: true })
  return {
    value: { matched, done: false },
    lines: [`${matched} dead letters would be ${yes}; say --yes to do it`],
    note: matched === 0 ? note : undefined,
  }
}

/** Every command by its words. */
export const commands: Readonly<Record<string, Command>> = {
  'dead-letters list': {
    takes: [...ofLetters, 'limit'],
    run: async (broker, call) => {
      const { dead, note } = await shelf(broker, call)
      const found = await letters(dead, call, call.limit + 1)
      const first = found.slice(0, call.limit)
      const cut = found.length > call.limit ? `these are the first ${call.limit}; --limit N lists more` : undefined
      return {
        value: first.map(shown),
        lines: first.length === 0 ? ['no dead letters'] : first.map(line),
        note: first.length === 0 ? note : cut,
      }
    },
  },
  'dead-letters show': {
    takes: ofLetters,
    run: async (broker, call) => {
      if (call.id === undefined) throw new MessagingError('invalid', 'dead-letters show: say which by --id')
      const { dead, note } = await shelf(broker, call)
      const [letter] = await letters(dead, call, 1)
      if (letter === undefined)
        return { value: null, lines: [`no dead letter ${call.id} of ${call.topic}`], note, failed: true }
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
      const { dead, note } = await shelf(broker, call)
      const count = await dead.redrive({
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
        note: count.matched === 0 ? note : undefined,
        failed: count.failed + count.refused > 0,
      }
    },
  },
  'dead-letters discard': {
    takes: [...ofLetters, 'yes'],
    run: async (broker, call) => {
      if (!call.yes) return onlyWith('discarded', broker, call)
      const { dead, note } = await shelf(broker, call)
      const { discarded } = await dead.discard({ where: told(call, 'discarded') })
      return { value: { discarded }, lines: [`${discarded} discarded`], note: discarded === 0 ? note : undefined }
    },
  },
  lag: {
    takes: ['topic', 'group'],
    run: async (broker, call) => {
      if (call.group === undefined) throw new MessagingError('invalid', 'lag: say whose by --group')
      const lag = await broker.lag(await source(broker, call), { group: call.group })
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
      const { topic: doomed, groups = [] } = await known(broker, call)
      if (call.yes) {
        const deleted = await broker.topics.delete(doomed)
        return { value: { ...deleted, deleted: true }, lines: [`${deleted.name} is deleted`] }
      }
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
      const explanation = await broker.explain(await source(broker, call), { group: call.group })
      return {
        value: explanation.promises,
        lines: explanation.toString().split('\n'),
        note: 'as for a topic and a consumer that say nothing; key, order, filter and the like are known where they stand: broker.explain(topic, options)',
      }
    },
  },
}

/** Commands that are about the whole broker. */
export const withoutTopic: readonly string[] = ['health', 'topics list']
