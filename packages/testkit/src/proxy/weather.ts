/** `up`: from the client to the server; `down`: the server's answers. */
export type Direction = 'up' | 'down'
/** One direction or both. */
export type Way = Direction | 'both'
/** `reset`: RST at once; `end`: FIN, as a server that closes in good order. */
export type CutKind = 'reset' | 'end'

/** What happens to the bytes of one direction, on all connections alike. */
export interface Weather {
  /** Bytes vanish, ends and resets too. */
  swallow: boolean
  /** Bytes wait and come later, as when the other side is frozen. */
  hold: boolean
  latencyMs: number
  bytesPerSecond: number
}

/** Nothing wrong. */
export function fairWeather(): Weather {
  return { swallow: false, hold: false, latencyMs: 0, bytesPerSecond: Number.POSITIVE_INFINITY }
}

/** Bytes of one direction. */
export interface ByteCounts {
  passed: number
  swallowed: number
}

/** What a proxy has seen since it began. */
export interface ProxyCounts {
  /** Connections that clients made. */
  accepted: number
  /** Of these, not yet over on both sides. */
  open: number
  /** Cut by a fault. */
  cut: number
  /** Of these the server could not be reached. */
  unreached: number
  readonly up: ByteCounts
  readonly down: ByteCounts
}

/** All at nothing. */
export function noCounts(): ProxyCounts {
  return {
    accepted: 0,
    open: 0,
    cut: 0,
    unreached: 0,
    up: { passed: 0, swallowed: 0 },
    down: { passed: 0, swallowed: 0 },
  }
}
