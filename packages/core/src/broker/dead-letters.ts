import { callable, checkOptions, checkValue, flag, type Shape } from '../checked.ts'
import { pause } from '../driver/clock.ts'
import type { Dispatch, Envelope, Letter } from '../driver/envelope.ts'
import type { Shelf, ShelvedLetter } from '../driver/seam.ts'
import { notedWindow, partsOf } from '../driver/store.ts'
import { isMessagingError, MessagingError } from '../errors.ts'
import type { AnyTopic, BodyOf, Source } from '../face/messages.ts'
import type { DeadLetter, DeadLetters } from '../face/operating.ts'
import { isPattern } from '../pattern.ts'
import { deadLetterOf } from './letter.ts'
import { noSuchGroup } from './operating.ts'
import type { Runtime } from './runtime.ts'

/** One letter with what is needed to do something about it. */
interface Found {
  readonly message: Envelope
  readonly letter: Letter
  readonly group: string | undefined
  send(dispatch: Dispatch): Promise<boolean>
  remove(): Promise<void>
}

const listShape: Shape = {
  where: callable,
  limit: (value) => (typeof value === 'number' && value >= 0 ? undefined : 'a number from 0 up'),
}
const redriveShape: Shape = {
  where: callable,
  ratePerSecond: (value) => (typeof value === 'number' && value > 0 ? undefined : 'a number above 0'),
  dryRun: flag,
  beyondInbox: flag,
}

/** What `where` said: a promise would be taken for yes, whatever comes of it. */
function chosen(answer: unknown): boolean {
  if (typeof answer === 'object' && answer !== null && 'then' in answer)
    throw new MessagingError('invalid', 'where answered with a promise; give a function that answers at once')
  return Boolean(answer)
}

/** The dead letters of a topic and a group, wherever the broker keeps them, and the parked ones. */
export function deadLetters<S extends Source>(
  runtime: Runtime,
  from: S,
  group: string | undefined,
): DeadLetters<BodyOf<S>> {
  if (isPattern(from))
    throw new MessagingError(
      'unsupported',
      `dead letters lie with their topic; ask deadLetters(topic, { group }) for each topic of ${from.pattern}`,
    )
  const topic = from as never

  /** What lies on a shelf; where the broker has none of that name, a group that was mistyped looks like one without letters: so it is said. */
  async function* shelved(shelf: Shelf, name: string, signal: AbortSignal): AsyncGenerator<ShelvedLetter> {
    try {
      yield* shelf.list(signal)
    } catch (error) {
      if (!isMessagingError(error, 'not-found')) throw error
      if (group === undefined) return
      runtime.events.say(`deadLetters() finds nothing: ${await noSuchGroup(runtime, name, group)}`)
    }
  }
  async function* each(signal: AbortSignal): AsyncGenerator<Found> {
    const { spec } = await runtime.declare(topic, signal)
    const shelf: Shelf = runtime.driver.shelf(spec, group)
    for await (const { token, message, letter, group: of } of shelved(shelf, spec.name, signal)) {
      yield {
        message,
        letter,
        group: of,
        send: async (dispatch) => (await runtime.relay(dispatch)).ok,
        remove: () => shelf.remove([token], signal),
      }
    }
    if (group === undefined || runtime.keeper === undefined) return
    const { keeper } = runtime
    for await (const message of keeper.parkedOf(spec.name, group)) {
      const letter = message.letter ?? {
        reason: 'parked',
        error: undefined,
        attempts: message.failures,
        at: runtime.clock.now(),
      }
      yield {
        message,
        letter,
        group,
        send: async () => (await keeper.release(spec.name, group, message.key ?? '')) > 0,
        remove: async () => void (await keeper.discardParked(spec.name, group, message.id)),
      }
    }
  }
  type Where = ((letter: DeadLetter<BodyOf<S>>) => boolean) | undefined
  async function* matching(where: Where, signal: AbortSignal): AsyncGenerator<readonly [Found, DeadLetter<BodyOf<S>>]> {
    for await (const found of each(signal)) {
      const shown = deadLetterOf(runtime, found.message, found.letter, found.group) as DeadLetter<BodyOf<S>>
      if (where === undefined || chosen(where(shown))) yield [found, shown]
    }
  }
  return {
    async *list(options = {}) {
      runtime.open('list')
      checkOptions('list()', options, listShape)
      const { where, limit = Number.POSITIVE_INFINITY } = options
      if (limit <= 0) return
      let left = limit
      const end = new AbortController()
      try {
        for await (const [, shown] of matching(where, end.signal)) {
          yield shown
          if (--left <= 0) return
        }
      } finally {
        end.abort()
      }
    },
    async redrive(options = {}) {
      runtime.open('redrive')
      checkOptions('redrive()', options, redriveShape)
      const { where, ratePerSecond, dryRun = false, beyondInbox = false } = options
      const count = { matched: 0, redriven: 0, failed: 0, refused: 0 }
      const started = runtime.clock.now()
      const tooOld = beyondInbox ? () => false : await beyondWindow()
      for await (const [found] of matching(where, runtime.closing)) {
        count.matched++
        if (tooOld(found)) {
          count.refused++
          continue
        }
        if (dryRun) continue
        if (ratePerSecond !== undefined) {
          const due = started + ((count.redriven + count.failed) / ratePerSecond) * 1_000
          if (!(await pause(runtime.clock, due - runtime.clock.now(), runtime.closing))) break
        }
        if (await redriven(found)) count.redriven++
        else count.failed++
      }
      return count
    },
    async discard(options) {
      runtime.open('discard')
      checkOptions('discard()', options, { where: callable })
      const where = options?.where
      // What is missing, or misspelt, must not mean all of them.
      checkValue('discard()', 'where', where, callable, true)
      let discarded = 0
      for await (const [found] of matching(where, runtime.closing)) {
        await found.remove()
        discarded++
      }
      return { discarded }
    },
  }

  /**
   * What the group's inbox may have forgotten: a letter whose message was handled after all (its acknowledgement was lost, or a redrive broke off) would
   * be handled twice. Of a parked key all that follows stays, too.
   */
  async function beyondWindow(): Promise<(found: Found) => boolean> {
    const claims = runtime.store === undefined ? undefined : partsOf(runtime.store).claims
    const windowMs =
      claims === undefined || group === undefined
        ? undefined
        : await notedWindow(claims, group, (from as AnyTopic).name)
    if (windowMs === undefined) return () => false
    const keys = new Set<string | undefined>()
    return ({ letter, message }) => {
      const parked = letter.reason === 'parked'
      const old = letter.at + windowMs <= runtime.clock.now() || (parked && keys.has(message.key))
      if (old && parked) keys.add(message.key)
      return old
    }
  }

  /** Sent and confirmed to its group alone, under its own id, before it leaves the shelf: a crash between repeats it, never loses it. */
  async function redriven({ message, letter, group: to, send, remove }: Found): Promise<boolean> {
    const fresh: Dispatch = {
      ...message,
      group: to,
      generation: message.generation + 1,
      failures: 0,
      history: [],
      lone: 0,
      expiresAt: letter.reason === 'expired' ? undefined : message.expiresAt,
      letter: undefined,
    }
    if (!(await send(fresh))) return false
    if (letter.reason !== 'parked') await remove()
    return true
  }
}
