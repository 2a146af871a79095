// What does not go to the broker now: into the keeper, many of a turn in one insert.
import type { Runtime } from '../broker/runtime.ts'
import type { Dispatch } from '../driver/envelope.ts'
import { describe, isMessagingError, MessagingError } from '../errors.ts'

/** Puts messages away one insert at a time, so that they lie there in the order in which they came. */
export interface Holding {
  /** Resolves when it is durable; rejects with `MessagingError`. */
  hold(message: Dispatch): Promise<void>
  /** Whether something of this topic and key is on its way there. */
  holds(topic: string, key: string | undefined): boolean
}

interface Held {
  readonly message: Dispatch
  readonly resolve: () => void
  readonly reject: (error: MessagingError) => void
}

/** Most messages of one insert. */
const mostHeld = 500

/** Makes one for the schedule or for the spool. An insert that takes longer than `timeoutMs` rejects as unknown. */
export function holding(runtime: Runtime, as: 'schedule' | 'spool', timeoutMs: number): Holding {
  let queue: Held[] = []
  let busy = false
  const keys = new Map<string, number>()
  const nameOf = (topic: string, key: string | undefined): string => (key === undefined ? topic : `${topic}\0${key}`)

  async function run(): Promise<void> {
    while (queue.length > 0) {
      const batch = queue.slice(0, mostHeld)
      queue = queue.slice(mostHeld)
      let error: MessagingError | undefined
      try {
        await within(runtime, timeoutMs, undefined, `holding messages in the ${as}`, async () =>
          runtime.keeper?.hold(
            batch.map((each) => each.message),
            as,
            undefined,
          ),
        )
      } catch (cause) {
        error = storeError(as, cause)
      }
      for (const { message, resolve, reject } of batch) {
        const name = nameOf(message.topic, message.key)
        const left = (keys.get(name) ?? 1) - 1
        if (left === 0) keys.delete(name)
        else keys.set(name, left)
        if (error === undefined) resolve()
        else reject(error)
      }
    }
    busy = false
  }
  return {
    hold(message) {
      return new Promise((resolve, reject) => {
        const name = nameOf(message.topic, message.key)
        keys.set(name, (keys.get(name) ?? 0) + 1)
        queue.push({ message, resolve, reject })
        if (busy) return
        busy = true
        process.nextTick(() => void run())
      })
    },
    holds: (topic, key) => keys.has(nameOf(topic, key)),
  }
}

/** Runs a call of a driver or a store under a deadline and the caller's signal; what comes later is not heard. Rejects with `MessagingError`. */
export function within<R>(
  { clock, closing }: Pick<Runtime, 'clock' | 'closing'>,
  timeoutMs: number,
  signal: AbortSignal | undefined,
  what: string,
  work: (signal: AbortSignal) => Promise<R>,
): Promise<R> {
  const stop = new AbortController()
  return new Promise<R>((resolve, reject) => {
    const end = (error: MessagingError): void => {
      stop.abort(error)
      finish()
      reject(error)
    }
    const aborted = (): void =>
      end(new MessagingError('aborted', `${what} was aborted`, { outcome: 'unknown', cause: signal?.reason }))
    const closed = (): void =>
      end(new MessagingError('closed', `${what}: the broker was closed before it was done`, { outcome: 'unknown' }))
    const cancel = clock.after(timeoutMs, () =>
      end(new MessagingError('timeout', `${what} was not done within ${timeoutMs} ms`, { outcome: 'unknown' })),
    )
    const finish = (): void => {
      cancel()
      signal?.removeEventListener('abort', aborted)
      closing.removeEventListener('abort', closed)
    }
    signal?.addEventListener('abort', aborted, { once: true })
    closing.addEventListener('abort', closed, { once: true })
    ;(async () => work(stop.signal))().then(
      (value) => {
        finish()
        resolve(value)
      },
      (error: unknown) => {
        finish()
        reject(isMessagingError(error) ? error : storeError(what, error))
      },
    )
  })
}

function storeError(what: string, error: unknown): MessagingError {
  if (isMessagingError(error)) return error
  return new MessagingError('internal', `${what} failed: ${describe(error)}`, { outcome: 'unknown', cause: error })
}

/** The refusal where something needs a keeper and there is none. */
export function lacksKeeper(runtime: Pick<Runtime, 'name' | 'store' | 'within'>, what: string): MessagingError {
  const { store } = runtime
  if (runtime.within !== undefined)
    return new MessagingError(
      'unsupported',
      `${what} by delivery.producer with guarantee: '${runtime.within}' would wait in a store, which is no part of the broker's transaction; send it by broker.producer(), or consume with guarantee: 'exactly-once-effects' and send with { tx: delivery.tx }`,
    )
  if (store === undefined)
    return new MessagingError(
      'unsupported',
      `${what} on ${runtime.name} needs a store; give connect() one, such as store: 'sqlite:./data/app.db'`,
    )
  return new MessagingError(
    'unsupported',
    store.keeps.held
      ? `${what} needs @posthorn/reliability, which keeps messages in the ${store.name} store; connect by \`posthorn\`, which brings it`
      : `${what} needs a store that holds messages, and ${store.name} holds none; give connect() another, such as store: 'sqlite:./data/app.db'`,
  )
}
