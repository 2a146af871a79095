/** The port names of one process, in the order in which its ports are numbered. */
export type PortNames = readonly string[]

/** Processes that are started together, by name, with the ports that each needs. */
export type Stage = Readonly<Record<string, PortNames>>

/** One process of a broker in this checkout: its own folder and its own ports. */
export interface Process {
  readonly name: string
  /** Absolute; holds data, configuration, log and pid record. Never shared with another process. */
  readonly folder: string
  readonly ports: Readonly<Record<string, number>>
}

/** One broker in this checkout. */
export interface Site {
  readonly folder: string
  /** What `install` gave: read only, shared by every checkout of this machine. */
  readonly tree: string
  readonly processes: readonly Process[]
  /** Lines of the broker's own configuration that a run asked for, over ours. */
  readonly settings: Readonly<Record<string, string>>
}

/** How a process is launched. It must stay in the foreground and write its log to stdout or stderr. */
export interface Launch {
  readonly file: string
  readonly args: readonly string[]
  /** Added to a clean environment (PATH and LANG alone). */
  readonly env?: Readonly<Record<string, string>>
}

/**
 * What each broker's file exports, once per variant. Everything that brokers have in common (spawning, pid records, locks,
 * waiting, ending) is in `lifecycle.ts`; a broker only says what is particular to it.
 */
export interface Broker {
  /** As typed on the command line: `rabbitmq`, `rabbitmq@4.3`, `rabbitmq-cluster`. */
  readonly name: string
  readonly summary: string
  /** Whether `pnpm brokers start` without a name starts it. */
  readonly usual: boolean
  /** Where its ports begin, counted from the checkout's base; blocks do not overlap. */
  readonly block: number
  /** In starting order; ended in the reverse order. The last stage holds the servers that faults are injected into. */
  readonly stages: readonly Stage[]
  /** Names of ports that are kept for a test's own listener (a fault proxy); the broker only advertises them. */
  readonly portsOfTests?: readonly string[]
  /** How long a start may take on a busy machine. */
  readonly startMs: number
  /** Downloads what is missing (once per machine) and gives the folder. Throws with what to install by hand. */
  install(): Promise<string>
  /** Writes what the process needs into its folder, keeping data that is there, and says how to launch it. */
  start(site: Site, process: Process): Promise<Launch>
  /** Nothing when the process serves clients, else what it still lacks, in words. May throw: that counts as "not yet". */
  ready(site: Site, process: Process): Promise<string | undefined>
  /** Asked of the whole broker once each process is ready (a cluster has formed). Same answer as `ready`. */
  formed?(site: Site): Promise<string | undefined>
  /** How the broker's own command line tool is run against one process that serves (`rabbitmqctl`). */
  control?(site: Site, process: Process, args: readonly string[]): Launch
  url(site: Omit<Site, 'tree'>): string
}

/** A broker's name as part of a file, a folder or a compose service. */
export const slug = (name: string): string => name.replace('@', '-')

/** The environment variable that names a broker which already runs: `rabbitmq@4.3` is `RABBITMQ_4_3_URL`. */
export const urlVariable = (name: string): string => `${name.replace(/[^a-z0-9]/gi, '_').toUpperCase()}_URL`
