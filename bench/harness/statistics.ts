/** Median, least and most. */
export interface Spread {
  readonly median: number
  readonly min: number
  readonly max: number
}

/** The spread of at least one figure. */
export const spreadOf = (figures: readonly number[]): Spread => {
  const sorted = figures.toSorted((a, b) => a - b)
  const middle = Math.floor(sorted.length / 2)
  const upper = sorted[middle] as number
  const median = sorted.length % 2 === 1 ? upper : ((sorted[middle - 1] as number) + upper) / 2
  return { median, min: sorted[0] as number, max: sorted.at(-1) as number }
}

/** Student's t for a two-sided 95 % interval, by degrees of freedom from 1; beyond the table the normal one is near enough. */
const t95 = [
  12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228, 2.201, 2.179, 2.16, 2.145, 2.131, 2.12, 2.11,
  2.101, 2.093, 2.086, 2.08, 2.074, 2.069, 2.064, 2.06, 2.056, 2.052, 2.048, 2.045, 2.042,
]

/** Where the true ratio lies with 95 %, from ratios of blocks that ran beside each other. */
export interface Interval {
  /** The geometric mean. */
  readonly ratio: number
  readonly low: number
  readonly high: number
}

/** The interval of paired ratios, over their logarithms: half and double are equally far from one. One pair says nothing: it is endless. */
export const intervalOf = (ratios: readonly number[]): Interval => {
  const logs = ratios.map(Math.log)
  const count = logs.length
  const mean = logs.reduce((sum, each) => sum + each, 0) / count
  if (count < 2) return { ratio: Math.exp(mean), low: 0, high: Number.POSITIVE_INFINITY }
  const variance = logs.reduce((sum, each) => sum + (each - mean) ** 2, 0) / (count - 1)
  const reach = (t95[count - 2] ?? 1.96) * Math.sqrt(variance / count)
  return { ratio: Math.exp(mean), low: Math.exp(mean - reach), high: Math.exp(mean + reach) }
}

/** Whether a bound holds: `yes` or `no` only where the whole interval lies on one side of it. */
export const verdictOf = (
  { low, high }: Interval,
  { atMost, atLeast }: { readonly atMost?: number; readonly atLeast?: number },
): 'yes' | 'no' | 'undecided' => {
  if (atMost !== undefined) return high <= atMost ? 'yes' : low > atMost ? 'no' : 'undecided'
  if (atLeast !== undefined) return low >= atLeast ? 'yes' : high < atLeast ? 'no' : 'undecided'
  return 'undecided'
}
