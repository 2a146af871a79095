import type { Keeper, KeeperContext } from '@posthorn/core/driver'
import {
  type ClaimedRow,
  type Clock,
  type Dispatch,
  describe,
  type Held,
  MessagingError,
  show,
} from '@posthorn/core/driver'
import { rounds } from './rounds.ts'
import { refOf } from './rows.ts'

/** How long the sender is left alone before anybody asks. Its work is told to stop at half of it. */
export const immunityMs = 60_000
/** Between two questions. */
export const askAgainMs = 60_000
/** Questions answered `unknown` before the message becomes a dead letter. */
const mostQuestions = 15

/** How much of an error is kept. */
const longestError = 500

type Ask = Parameters<Keeper['check']>[1]
type Word = Awaited<ReturnType<Ask>>

/** What a check says; one that throws or says something else says nothing, and why is told. */
async function answerOf(
  check: Ask,
  message: Dispatch,
): Promise<{ readonly answer: Word; readonly failure: string | undefined }> {
  try {
    const answer: unknown = await check(message)
    if (answer === 'commit' || answer === 'rollback' || answer === 'unknown') return { answer, failure: undefined }
    return {
      answer: 'unknown',
      failure: `answered ${show(answer)}, which is none of 'commit', 'rollback' and 'unknown'`,
    }
  } catch (error) {
    return { answer: 'unknown', failure: `threw: ${describe(error)}` }
  }
}

/** Half messages: prepared rows that their sender commits or rolls back, or about which its check is asked when it has vanished. */
export function halves(held: Held, context: KeeperContext) {
  const { clock, topicOf } = context
  const { checks, close } = questions(held, context)
  const decided = deciding(held, clock)
  return {
    checks,
    close,
    async prepare(message: Dispatch): ReturnType<Keeper['prepare']> {
      const ref = refOf(message)
      const signal = new AbortController()
      const dueAt = clock.now() + immunityMs
      await held.insert([
        {
          ref,
          state: 'prepared',
          // Put away for a time: who commits when a check has spoken already is told what became of it.
          message: { ...message, notBefore: dueAt },
          topic: topicOf(message.topic),
          lane: undefined,
          dueAt,
          tries: 0,
        },
      ])
      const late = `the work of half message ${message.id} took more than ${immunityMs / 2} ms`
      const stop = (): void => signal.abort(new MessagingError('timeout', late))
      const cancel = clock.after(immunityMs / 2, stop, { unref: true })
      return {
        signal: signal.signal,
        async commit() {
          cancel()
          await decided(ref, message, 'committed')
        },
        async rollback() {
          cancel()
          await decided(ref, message, 'rolled back')
        },
      }
    },
  }
}

/** Asks about those whose sender has vanished, as long as nobody can say. */
function questions(held: Held, { clock, events, relay }: KeeperContext) {
  const checks = new Map<string, Ask>()

  async function ask(row: ClaimedRow): Promise<void> {
    const expect = { state: 'prepared', fence: row.fence } as const
    const check = checks.get(row.message.topic)
    // Another process may know the topic; it is not counted as a question.
    if (check === undefined)
      return void (await held.change(row.ref, expect, { state: 'prepared', dueAt: clock.now() + 5_000 }))
    const { answer, failure } = await answerOf(check, row.message)
    if (failure !== undefined)
      events.say(`the check of half messages of ${row.message.topic} ${failure}; it counts as 'unknown'`)
    if (answer === 'commit') await held.change(row.ref, expect, { state: 'ready', dueAt: clock.now() })
    else if (answer === 'rollback') await held.change(row.ref, expect, undefined)
    else if (row.tries + 1 < mostQuestions)
      await held.change(row.ref, expect, { state: 'prepared', dueAt: clock.now() + askAgainMs, tries: row.tries + 1 })
    else await giveUp(row, failure)
  }

  async function giveUp(row: ClaimedRow, failure: string | undefined): Promise<void> {
    const last = failure === undefined ? '' : `; the last time the check ${failure}`
    const error = `nobody could say in ${mostQuestions} questions whether to commit${last}`.slice(0, longestError)
    const letter = { reason: 'unanswered', error, attempts: row.tries + 1, at: clock.now() } as const
    const [put] = await relay([{ message: { ...row.message, notBefore: undefined, letter }, topic: row.topic }])
    if (put?.ok !== true) return
    await held.change(row.ref, { state: 'prepared', fence: row.fence }, undefined)
    events.say(`half message ${row.message.id} of ${row.message.topic} became a dead letter: ${error}`)
  }

  const asking = rounds(held, { clock, events }, 'prepared', 50, async (rows) => {
    await Promise.all(rows.map(ask))
  })
  return { checks, close: asking.close }
}

/** The sender's word counts unless a check has spoken first; then it is told. */
function deciding(held: Held, clock: Clock) {
  return async (ref: string, message: Dispatch, as: 'committed' | 'rolled back'): Promise<void> => {
    const to = as === 'committed' ? ({ state: 'ready', dueAt: clock.now() } as const) : undefined
    try {
      if (await held.change(ref, { state: 'prepared' }, to)) return
      const row = await held.get(ref)
      if (row?.state === 'prepared' && (await held.change(ref, { state: 'prepared', fence: row.fence }, to))) return
      // Gone or on its way: the check answered in the meantime.
      const committed = row === undefined ? false : row.state !== 'prepared'
      if (committed === (as === 'committed')) return
    } catch (cause) {
      throw new MessagingError(
        'unavailable',
        `half message ${message.id} could not be ${as}; its check will be asked: ${describe(cause)}`,
        { outcome: 'unknown', cause },
      )
    }
    throw new MessagingError('stale', `half message ${message.id} was to be ${as}, but its check had decided otherwise`)
  }
}
