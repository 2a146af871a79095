import type { Socket } from 'node:net'
import type { Weather } from './weather.ts'

/** One direction of one connection. */
export interface Pipe {
  /** Passes on what may go by now; to be called whenever the weather changed. */
  pump(): void
  /** Whether something of the stream vanished: it can never go on, as TCP has no holes. */
  readonly torn: boolean
  /** Forgets what waits and passes nothing more. */
  stop(): void
}

/** What a pipe tells its connection. */
export interface PipeEvents {
  /** Before a chunk goes on; a number: only so many bytes of it, and then `cut`. */
  readonly limit: (chunk: Buffer) => number | undefined
  readonly cut: () => void
  readonly passed: (bytes: number) => void
  readonly swallowed: (bytes: number) => void
}

/** Beyond this the sender is not read on, so that its own back-pressure shows. */
const most = 1_048_576
/** A drip comes in slices at most this often per second. */
const slicesPerSecond = 50

interface Waiting {
  readonly chunk: Buffer
  readonly since: number
}

/** Carries bytes from one socket to the other through the weather. Needs `allowHalfOpen` on both. */
export function pipe(from: Socket, to: Socket, weather: Weather, events: PipeEvents): Pipe {
  let queue: Waiting[] = []
  let queued = 0
  let ended = false
  let torn = false
  let stopped = false
  let nextSliceAt = 0
  let timer: NodeJS.Timeout | undefined

  const wakeIn = (ms: number): void => {
    clearTimeout(timer)
    timer = setTimeout(pump, Math.max(1, Math.ceil(ms)))
  }
  const stop = (): void => {
    stopped = true
    clearTimeout(timer)
    queue = []
    from.off('data', onData)
    from.off('end', onEnd)
    to.off('drain', pump)
  }
  const write = (chunk: Buffer, limit: number | undefined): void => {
    const part = limit === undefined ? chunk : chunk.subarray(0, limit)
    queued -= part.length
    if (part.length > 0) events.passed(part.length)
    if (limit === undefined) {
      to.write(part)
      return
    }
    stop()
    // The kernel has them before the cut; a reset would drop what it has not.
    if (part.length > 0 && to.writable) to.write(part, () => events.cut())
    else events.cut()
  }
  /** Passes the head on if it may go now; else says when, or nothing where somebody will call. */
  const step = (head: Waiting): boolean => {
    const now = performance.now()
    const dueAt = Math.max(head.since + weather.latencyMs, Number.isFinite(weather.bytesPerSecond) ? nextSliceAt : 0)
    if (dueAt > now) {
      wakeIn(dueAt - now)
      return false
    }
    const slice = Math.min(head.chunk.length, Math.max(1, Math.floor(weather.bytesPerSecond / slicesPerSecond)))
    const chunk = head.chunk.subarray(0, slice)
    if (slice < head.chunk.length) queue[0] = { chunk: head.chunk.subarray(slice), since: head.since }
    else queue.shift()
    nextSliceAt = now + (slice / weather.bytesPerSecond) * 1_000
    write(chunk, events.limit(chunk))
    return true
  }
  function pump(): void {
    if (weather.swallow) vanish()
    while (!stopped && !weather.hold && !to.writableNeedDrain) {
      const head = queue[0]
      if (head === undefined) {
        if (ended && !to.writableEnded) to.end()
        break
      }
      if (!step(head)) break
    }
    if (!stopped && queued < most && from.isPaused()) from.resume()
  }
  function vanish(): void {
    if (queue.length === 0 && !ended) return
    torn = true
    if (queued > 0) events.swallowed(queued)
    queue = []
    queued = 0
    ended = false
  }
  function onData(chunk: Buffer): void {
    queue.push({ chunk, since: performance.now() })
    queued += chunk.length
    if (queued >= most) from.pause()
    pump()
  }
  function onEnd(): void {
    ended = true
    pump()
  }
  from.on('data', onData)
  from.on('end', onEnd)
  to.on('drain', pump)
  return {
    pump,
    get torn() {
      return torn
    },
    stop,
  }
}
