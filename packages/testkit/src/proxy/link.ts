import { connect, type Socket } from 'node:net'
import { type Pipe, pipe } from './pipe.ts'
import type { CutKind, Direction, Weather } from './weather.ts'

/** One connection of a client, carried on to the server. */
export interface Link {
  /** Ends it towards both sides; what waits in it is lost. False: that had begun already. */
  cut(kind: CutKind): boolean
  /** The weather changed: what may go by goes, and what has a hole in it is reset. */
  refresh(): void
  /** Ends it without a word and resolves when nothing of it is left. */
  destroy(): Promise<void>
}

/** What a link tells its proxy. */
export interface LinkEvents {
  readonly limit: (link: Link, direction: Direction, chunk: Buffer) => number | undefined
  /** A limit was reached. */
  readonly spent: (link: Link) => void
  readonly passed: (direction: Direction, bytes: number) => void
  readonly swallowed: (direction: Direction, bytes: number) => void
  readonly unreached: () => void
  /** Both sides are closed. */
  readonly over: (link: Link) => void
}

/** Where a connection goes, and through what. */
export interface Route {
  readonly host: string
  readonly port: number
  readonly up: Weather
  readonly down: Weather
}

/** Carries a client's connection to the server. In a black hole nobody is called: the first packet would vanish, too. */
export function link(client: Socket, route: Route, events: LinkEvents): Link {
  const sides: Socket[] = [client]
  const pipes: Pipe[] = []
  let torn = false
  let cutting = false
  let done = false
  let closed: () => void = () => {}
  const over = new Promise<void>((resolve) => {
    closed = resolve
  })

  const reset = (socket: Socket): void => {
    if (socket.destroyed) return
    if (socket.connecting) socket.destroy()
    else socket.resetAndDestroy()
  }
  const cut = (kind: CutKind): boolean => {
    const first = !cutting
    cutting = true
    for (const each of pipes) each.stop()
    for (const side of sides) {
      if (kind === 'reset') reset(side)
      else {
        // As a process that has closed its socket: whoever goes on sending is reset.
        side.on('data', () => reset(side)).resume()
        side.end()
      }
    }
    return first
  }
  const self: Link = {
    cut,
    refresh() {
      if (cutting) return
      const hole = torn || pipes.some((each) => each.torn)
      if (hole && !route.up.swallow && !route.down.swallow) cut('reset')
      else for (const each of pipes) each.pump()
    },
    destroy() {
      cutting = true
      for (const each of pipes) each.stop()
      for (const side of sides) side.destroy()
      return over
    },
  }
  const watch = (side: Socket, direction: Direction): void => {
    let broken = false
    side.setNoDelay(true)
    side.on('error', () => {
      broken = true
    })
    side.on('close', () => {
      if (sides.every((each) => each.closed)) {
        if (done) return
        done = true
        for (const each of pipes) each.stop()
        events.over(self)
        closed()
        return
      }
      if (!broken || cutting) return
      const weather = route[direction]
      // A reset is a packet like others: in a black hole the other side never hears of it.
      if (weather.swallow || weather.hold) torn = true
      else cut('reset')
    })
  }
  const carry = (from: Socket, to: Socket, direction: Direction): void => {
    pipes.push(
      pipe(from, to, route[direction], {
        limit: (chunk) => events.limit(self, direction, chunk),
        cut: () => events.spent(self),
        passed: (bytes) => events.passed(direction, bytes),
        swallowed: (bytes) => events.swallowed(direction, bytes),
      }),
    )
  }

  if (route.up.swallow || route.down.swallow) {
    torn = true
    watch(client, 'up')
    client.on('data', (chunk: Buffer) => events.swallowed('up', chunk.length))
    return self
  }
  const server = connect({ host: route.host, port: route.port, allowHalfOpen: true })
  sides.push(server)
  watch(client, 'up')
  watch(server, 'down')
  server.once('error', events.unreached)
  server.once('connect', () => server.off('error', events.unreached))
  carry(client, server, 'up')
  carry(server, client, 'down')
  return self
}
