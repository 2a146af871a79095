import { adapterOptions, checkValue, MessagingError, parseConnectionUrl, urlText } from '@posthorn/core/driver'

/** Settings of the memory adapter. */
export interface MemoryOptions {
  /** Brokers of this process that name the same log share its messages and its clock; without a name it is this adapter's own. */
  readonly log?: string | undefined
  /** `manual` stands still unless `advance` moves it; else real time plus what it was moved on by. */
  readonly clock?: 'running' | 'manual' | undefined
  /** How long a delivery is a member's without being extended. Default 30 s. */
  readonly leaseMs?: number | undefined
  /** Says that nothing need survive the process, so that it starts in production, too. */
  readonly allowInProduction?: boolean | undefined
}

/** The options with their defaults. */
export interface MemorySettings {
  readonly log: string | undefined
  readonly manual: boolean
  readonly leaseMs: number
  readonly allowInProduction: boolean
}

const known = ['log', 'clock', 'leaseMs', 'allowInProduction']

/** Checks options and fills in defaults. */
export function settingsOf(options: MemoryOptions): MemorySettings {
  checkValue('memory()', 'what it is given', options, adapterOptions("memory({ log: 'tests' })"), true)
  const refuse = (what: string): never => {
    throw new MessagingError('invalid', `memory(${what}`)
  }
  for (const name of Object.keys(options))
    if (!known.includes(name)) refuse(`{ ${name} }): there is no such option; known are ${known.join(', ')}`)
  const { log, clock = 'running', leaseMs = 30_000, allowInProduction = false } = options
  if (log !== undefined && (typeof log !== 'string' || log === ''))
    refuse('{ log }): a log has a name that is not empty; leave it out for one of its own')
  if (clock !== 'running' && clock !== 'manual') refuse("{ clock }): it is 'running' or 'manual'")
  if (!(typeof leaseMs === 'number' && leaseMs >= 10 && leaseMs <= 86_400_000))
    refuse('{ leaseMs }): it is 10 to 86400000 ms')
  if (typeof allowInProduction !== 'boolean') refuse('{ allowInProduction }): it is true or false')
  return { log, manual: clock === 'manual', leaseMs, allowInProduction }
}

/** Reads `memory:`, `memory:name` or `memory://name`, with the options as parameters. */
export function optionsFromUrl(url: string): MemoryOptions {
  const { scheme, hosts, path, parameters, user } = parseConnectionUrl(
    urlText(url).replace(/^memory:(?!\/\/)/i, 'memory://'),
    known.slice(1),
  )
  const name = hosts[0]?.host ?? ''
  if (scheme !== 'memory' || hosts.length > 1 || hosts[0]?.port !== undefined || path !== '' || user !== undefined)
    throw new MessagingError('invalid', 'a memory URL reads memory: or memory:name; it has no host, port, path or user')
  const leaseMs = parameters.get('leaseMs')
  return {
    log: name === '' ? undefined : name,
    clock: parameters.get('clock') as MemoryOptions['clock'],
    leaseMs: leaseMs === undefined ? undefined : Number(leaseMs),
    allowInProduction: parameters.has('allowInProduction')
      ? parameters.get('allowInProduction') !== 'false'
      : undefined,
  }
}
