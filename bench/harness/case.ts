/** What one block measured, in a process of its own. */
export interface Sample {
  readonly messages: number
  readonly wallMs: number
  /** User and system time of this process over the measured part, garbage collection and its threads included. */
  readonly cpuMs: number
  readonly rssMb: number
  /** Figures that only this case has, by their unit. */
  readonly more?: Readonly<Record<string, number>>
}

/** Does the work of one side: sets up, warms up, measures. `scale` shrinks or grows how much (1 as the goals are meant). */
export type Block = (scale: number) => Promise<Sample>

/** What is asked of one figure of a case, and becomes a row. */
export interface Goal {
  /** As in the table of goals: `G12`, with a letter where a goal has several rows. */
  readonly id: string
  readonly unit: 'msg/s' | 'µs CPU/message' | 's CPU/100k' | 'MB' | (string & {})
  /** The bound of ours to the reference; one of both. */
  readonly atMost?: number
  readonly atLeast?: number
  /** What ours may cost beyond the reference in this figure alone; otherwise as the reference says. */
  readonly plus?: number
}

/** Two sides that are measured beside each other. */
export interface Case {
  readonly what: string
  readonly posthorn: Block
  readonly reference: {
    readonly name: string
    /** Without it the reference is `plus` alone: a budget. */
    readonly block?: Block
    /** What ours may cost beyond the block, in the unit of the goals. */
    readonly plus?: number
  }
  readonly goals: readonly Goal[]
  /** Most rounds, however many are asked for: one that runs long says enough in few. */
  readonly rounds?: number
}

/** What a file of this folder exports. */
export interface BenchFile {
  readonly cases: readonly Case[]
  /** Beside other libraries: measured where `--peers` asks for it. */
  readonly peers?: readonly Case[]
  /** Once before all blocks (a broker, peers); the answer undoes it. */
  readonly prepare?: () => Promise<() => Promise<void>>
}

/** A sample's figure in a unit. */
export const figure = (sample: Sample, unit: string): number => {
  if (unit === 'msg/s') return (sample.messages / sample.wallMs) * 1_000
  // Steadier than time on a machine that others use, too.
  if (unit === 'µs CPU/message') return (sample.cpuMs * 1_000) / sample.messages
  if (unit === 's CPU/100k') return ((sample.cpuMs / 1_000) * 100_000) / sample.messages
  if (unit === 'MB') return sample.rssMb
  const own = sample.more?.[unit]
  if (own === undefined)
    throw new Error(
      `the block measured no ${unit}; it gives ${Object.keys(sample.more ?? {}).join(', ') || 'no figures of its own'}`,
    )
  return own
}
