import { type ConsumeExtension, MessagingError, type Source } from '@posthorn/core'
import {
  callable,
  checkOptions,
  extension,
  ms,
  plainName,
  type Rule,
  refused,
  type Shape,
  telling,
  whole,
} from '@posthorn/core/driver'

/** Between two looks at the backlog of the others. */
const lookMs = 1_000

const sourceRule: Rule = (value) => (nameOf(value) === undefined ? 'what topic() or pattern() returned' : undefined)
const shape = {
  of: sourceRule,
  group: plainName,
  above: whole(1, Number.MAX_SAFE_INTEGER),
  below: whole(0, Number.MAX_SAFE_INTEGER),
  atMostMs: ms(1),
  changed: callable,
} satisfies Shape

/**
 * Gives way: while more than `above` messages wait for the group `group` of `of`, this consumer is paused, so that what both need is there for the burst. It goes
 * on when no more than `below` wait (default: half of `above`), and after `atMostMs` (default: 10 minutes) whatever waits; then it gives way again only after the
 * burst has passed. What it paused for lies with the broker, not in its hands.
 */
export function pauseOnBurst(options: {
  readonly of: Source
  readonly group: string
  readonly above: number
  readonly below?: number | undefined
  readonly atMostMs?: number | undefined
  /** Told when it gives way and when it goes on, and how many waited. */
  readonly changed?: ((paused: boolean, backlog: number) => void) | undefined
}): ConsumeExtension {
  checkOptions('pauseOnBurst()', options, shape, ['of', 'group', 'above'])
  const { of, group, above, below = Math.floor(above / 2), atMostMs = 600_000, changed } = options
  const name = nameOf(of) as string
  if (below >= above) throw refused('pauseOnBurst()', 'below', below, `a whole number below ${above}`)
  return extension('pauseOnBurst', (next) => next, {
    rank: 97,
    bind(own) {
      if (own.topic === name && own.group === group)
        throw new MessagingError(
          'invalid',
          `pauseOnBurst(): ${group} of ${name} would wait for its own backlog, which nobody else works off; name another group, or use rateLimit()`,
        )
      return (next) => next
    },
    steer(subscribed, wheel) {
      const { clock, stopping } = subscribed
      const tell = telling(subscribed.say, 'pauseOnBurst({ changed })', changed)
      let cancel = (): void => {}
      /** `waited`: it has given way for as long as it may. */
      let state: 'free' | 'paused' | 'waited' = 'free'
      let since = 0
      const judge = (backlog: number): void => {
        const before = state
        if (state !== 'free' && backlog <= below) state = 'free'
        else if (state === 'free' && backlog > above) {
          state = 'paused'
          since = clock.now()
        } else if (state === 'paused' && clock.now() - since >= atMostMs) state = 'waited'
        if ((before === 'paused') === (state === 'paused')) return
        if (state === 'paused') wheel.pause()
        else wheel.resume()
        tell(state === 'paused', backlog)
      }
      const look = async (): Promise<void> => {
        // A broker that is away says nothing of its backlog: as it was, then.
        const backlog = await wheel.backlog(of, group).catch(() => (state === 'free' ? 0 : above))
        if (stopping.aborted) return
        judge(backlog)
        cancel = clock.after(lookMs, look, { unref: true })
      }
      stopping.addEventListener('abort', () => cancel(), { once: true })
      void look()
    },
    promises: () => [
      {
        promise: 'gives way',
        how: 'emulated',
        detail: `paused while more than ${above} wait for ${group} of ${name}, until ${below} do, ${atMostMs} ms at most`,
        cost: 'one question for the backlog a second',
      },
    ],
  })
}

function nameOf(of: unknown): string | undefined {
  if (typeof of === 'object' && of !== null) {
    if ('name' in of && typeof of.name === 'string') return of.name
    if ('pattern' in of && typeof of.pattern === 'string') return of.pattern
  }
  return undefined
}
