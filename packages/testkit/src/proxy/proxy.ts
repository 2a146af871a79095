// A TCP proxy in userspace that fails on demand; needs no rights and runs wherever Node does.
import { checkOptions, type Rule, type Shape, whole } from '@posthorn/core/driver'
import { listen } from './listener.ts'
import { traffic } from './traffic.ts'
import { afterBytes, beforeAnswer } from './trigger.ts'
import {
  type CutKind,
  type Direction,
  fairWeather,
  noCounts,
  type ProxyCounts,
  type Way,
  type Weather,
} from './weather.ts'

/** Where a proxy leads and where it listens. */
export interface FaultProxyOptions {
  readonly to: { readonly host: string; readonly port: number }
  /** Port on loopback; a free one where none is given. */
  readonly listen?: number | undefined
}

/** A proxy in one's hand. Faults last until `restore`, and those of different kinds add up. */
export interface FaultProxy extends AsyncDisposable {
  readonly host: string
  readonly port: number
  /** As of now. */
  readonly counts: Readonly<ProxyCounts>
  /** Ends every open connection now; answers how many. */
  cut(kind?: CutKind): number
  /**
   * Ends the first connection on which `bytes` more have gone by in that direction, right behind the last of them. Resolves with
   * true once it did, with false if the proxy was restored or closed before.
   */
  cutAfter(direction: Direction, bytes: number, kind?: CutKind): Promise<boolean>
  /**
   * Lets requests through and ends the first connection that is answered (`when` picks the answer), before that answer passes: the server did
   * it, and the client cannot know. Resolves as `cutAfter` does.
   */
  cutBeforeAnswer(options?: {
    readonly when?: ((chunk: Buffer) => boolean) | undefined
    readonly kind?: CutKind | undefined
  }): Promise<boolean>
  /**
   * Bytes, ends and resets vanish while connections stay open; new ones are accepted and lead nowhere. `restore` resets the connections
   * that lost something, since a stream with a hole does not exist.
   */
  blackHole(way?: Way): void
  /** Bytes wait and go on after `restore`, as when the other side is stopped. */
  freeze(way?: Way): void
  /** Every chunk goes by this much later. */
  latency(ms: number, way?: Way): void
  /** No more than so many bytes a second on each connection. */
  drip(bytesPerSecond: number, way?: Way): void
  /** New connections are refused; open ones stay. */
  refuse(): void
  /** Ends all faults. */
  restore(): Promise<void>
  /** Waits for a state of the counts; rejects after `timeoutMs` (10 s). */
  until(holds: (counts: Readonly<ProxyCounts>) => boolean, timeoutMs?: number): Promise<void>
  /** Ends everything and leaves nothing open. Idempotent. */
  close(): Promise<void>
}

const hostRule: Rule = (value) => (typeof value === 'string' && value !== '' ? undefined : 'the name of a host')
const toShape = { host: hostRule, port: whole(1, 65_535) } satisfies Shape
const toRule: Rule = (value) => {
  checkOptions('faultProxy(): to', value, toShape, ['host', 'port'])
  return undefined
}
const shape = {
  to: (value) => (value === undefined ? '{ host, port } of the server' : toRule(value)),
  listen: whole(0, 65_535),
} satisfies Shape

/** Starts a proxy before a server. */
export async function faultProxy(options: FaultProxyOptions): Promise<FaultProxy> {
  checkOptions('faultProxy()', options, shape, ['to'])
  const { to, listen: port } = options
  const up = fairWeather()
  const down = fairWeather()
  const counts = noCounts()
  const waits = new Set<() => void>()
  const links = traffic({ ...to, up, down }, counts, () => {
    for (const look of waits) look()
  })
  const listener = await listen(port, links.accept)
  const change = (way: Way, fault: Partial<Weather>): void => {
    if (way !== 'down') Object.assign(up, fault)
    if (way !== 'up') Object.assign(down, fault)
    links.refresh()
  }
  let over: Promise<void> | undefined
  const close = (): Promise<void> => {
    if (over === undefined) {
      links.disarm()
      listener.shut()
      over = links.destroy()
    }
    return over
  }
  return {
    host: '127.0.0.1',
    port: listener.port,
    counts,
    cut: (kind = 'reset') => links.cut(kind),
    cutAfter: (direction, bytes, kind = 'reset') => links.arm(afterBytes(direction, bytes, kind)),
    cutBeforeAnswer: ({ when = () => true, kind = 'reset' } = {}) => links.arm(beforeAnswer(when, kind)),
    blackHole: (way = 'both') => change(way, { swallow: true }),
    freeze: (way = 'both') => change(way, { hold: true }),
    latency: (ms, way = 'both') => change(way, { latencyMs: ms }),
    drip: (bytesPerSecond, way = 'both') => change(way, { bytesPerSecond }),
    refuse: () => listener.shut(),
    async restore() {
      links.disarm()
      change('both', fairWeather())
      if (over === undefined) await listener.open()
    },
    until: (holds, timeoutMs = 10_000) => until(waits, () => holds(counts), timeoutMs, counts),
    close,
    [Symbol.asyncDispose]: close,
  }
}

function until(waits: Set<() => void>, holds: () => boolean, timeoutMs: number, counts: ProxyCounts): Promise<void> {
  return new Promise((resolve, reject) => {
    const end = (): void => {
      waits.delete(look)
      clearTimeout(timer)
    }
    const look = (): void => {
      if (!holds()) return
      end()
      resolve()
    }
    const timer = setTimeout(() => {
      end()
      reject(new Error(`the proxy did not come to that state within ${timeoutMs} ms; it is ${JSON.stringify(counts)}`))
    }, timeoutMs)
    waits.add(look)
    look()
  })
}
