import { createHash } from 'node:crypto'
import { createServer } from 'node:net'
import type { Broker } from './broker.ts'

/** Ports that one checkout may use, all brokers together. */
export const span = 800

// Below the ephemeral range, which begins at 32768, and away from the brokers' own defaults (15672, 25672, 27017).
const ranges = [
  { first: 16_000, last: 25_600 },
  { first: 27_100, last: 32_700 },
] as const
const step = 10

const bases = ranges.flatMap(({ first, last }) =>
  Array.from({ length: Math.floor((last - span - first) / step) + 1 }, (_, i) => first + i * step),
)

/** The first port of a checkout: from its path, so that two checkouts seldom meet, or as given. */
export const portBase = (checkout: string, given = process.env['POSTHORN_PORT_BASE']): number => {
  if (given) {
    const base = Number(given)
    if (!Number.isInteger(base) || base < 1024 || base + span > 32_768) {
      throw new Error(
        `POSTHORN_PORT_BASE is ${JSON.stringify(given)}: give a whole number from 1024 to ${32_768 - span}, ${span} ports from there are used`,
      )
    }
    return base
  }
  const hash = createHash('sha256').update(checkout).digest().readUInt32BE(0)
  return bases[hash % bases.length]!
}

/** The ports of every process of a broker, by process and by name. */
export const portsOf = (
  broker: Pick<Broker, 'block' | 'stages'>,
  base: number,
): ReadonlyMap<string, Readonly<Record<string, number>>> => {
  let next = base + broker.block
  return new Map(
    broker.stages.flatMap((stage) =>
      Object.entries(stage).map(
        ([name, ports]) => [name, Object.fromEntries(ports.map((port) => [port, next++]))] as const,
      ),
    ),
  )
}

/** Those of some ports on which somebody listens already. */
export const takenPorts = async (ports: readonly number[]): Promise<readonly number[]> => {
  const free = await Promise.all(ports.map(isFree))
  return ports.filter((_, i) => !free[i])
}

const isFree = (port: number): Promise<boolean> =>
  new Promise((resolve) => {
    const probe = createServer()
    probe.on('error', () => resolve(false))
    probe.listen(port, '127.0.0.1', () => probe.close(() => resolve(true)))
  })
