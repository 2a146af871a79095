import { type ConsumeExtension, MessagingError } from '@posthorn/core'
import { checkOptions, extension, type Rule, type Shape, whole } from '@posthorn/core/driver'
import { waitIn } from './line.ts'

const places = whole(0, Number.MAX_SAFE_INTEGER)
const queueRule: Rule = (value) => (value === Number.POSITIVE_INFINITY ? undefined : places(value))
const shape = { max: whole(1, 1_000_000), queue: queueRule } satisfies Shape

/**
 * At most `max` at once into one dependency, `queue` waiting (default: any number). One that finds the queue full fails this start and comes again
 * by the retry policy. Use one value in several consumers to share the limit.
 */
export function bulkhead(options: { readonly max: number; readonly queue?: number | undefined }): ConsumeExtension {
  checkOptions('bulkhead()', options, shape, ['max'])
  const { max, queue = Number.POSITIVE_INFINITY } = options
  let inside = 0
  const waiting: (() => void)[] = []
  return extension('bulkhead', (next) => next, {
    rank: 65,
    bind: () => (next) => async (delivery) => {
      if (inside < max) inside++
      else {
        if (waiting.length >= queue)
          throw new MessagingError(
            'throttled',
            `${waiting.length} wait for the bulkhead already; message ${delivery.id} comes again`,
          )
        await waitIn(waiting, delivery)
      }
      try {
        return await next(delivery)
      } finally {
        // The place is handed on, so that nobody can slip in between.
        const first = waiting.shift()
        if (first === undefined) inside--
        else first()
      }
    },
    promises: () => [{ promise: 'bulkhead', how: 'emulated', detail: `at most ${max} at once`, cost: 'none' }],
  })
}
