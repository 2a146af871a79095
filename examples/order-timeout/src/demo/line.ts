// The line to the broker, with a hand on it: what the button "hold the connection" needs and an application does not.
import type { ChildProcess } from 'node:child_process'
import { held } from '../settings.ts'

/** Where the children connect to, and how their connections are held for a while. */
export interface Line {
  readonly url: string
  hold(ms: number, children: readonly ChildProcess[]): void
}

/**
 * A proxy before a network broker: while it holds, bytes vanish in both directions and nobody hears of it. Where none can stand (a
 * file has no line, Kafka names its own address to its clients), the worker itself is frozen, and the rest of the world waits in vain.
 */
export async function openLine(url: string): Promise<Line> {
  const place = url.startsWith('amqp://') && !url.includes(',') ? new URL(url) : undefined
  if (place === undefined && held === undefined) return { url, hold: freeze }
  const { faultProxy } = await import('@posthorn/testkit')
  const proxy = await faultProxy({
    to: { host: place?.hostname ?? '127.0.0.1', port: held?.to ?? Number(place?.port || 5672) },
    listen: held?.listen,
  })
  const through = place ?? new URL(url.replace(/^kafka:/, 'http:'))
  through.hostname = proxy.host
  through.port = String(proxy.port)
  return {
    url: place === undefined ? through.href.replace(/^http:/, 'kafka:') : through.href,
    hold(ms) {
      proxy.blackHole()
      setTimeout(() => void proxy.restore(), ms)
    },
  }
}

function freeze(ms: number, children: readonly ChildProcess[]): void {
  const worker = children.at(-1)
  worker?.send({ freeze: true })
  setTimeout(() => worker?.kill('SIGCONT'), ms)
}
