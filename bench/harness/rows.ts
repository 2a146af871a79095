import { type Case, figure, type Goal, type Sample } from './case.ts'
import { intervalOf, type Spread, spreadOf, verdictOf } from './statistics.ts'

/** One line of the answer, as `--json` prints it. */
export interface Row {
  readonly id: string
  readonly what: string
  readonly unit: string
  readonly posthorn: Spread
  readonly reference: Spread & { readonly name: string }
  readonly ratio: number
  readonly goal: string
  readonly holds: 'yes' | 'no' | 'undecided'
}

/** Samples of both sides, taken in turns: those of one index belong together. The reference has none where it is a budget. */
export interface Pairs {
  readonly posthorn: readonly Sample[]
  readonly reference: readonly Sample[]
}

/** The rows of a case. */
export const rowsOf = (each: Case, pairs: Pairs): readonly Row[] => each.goals.map((goal) => rowOf(each, goal, pairs))

const rowOf = ({ what, reference: { name, plus = 0 } }: Case, goal: Goal, pairs: Pairs): Row => {
  const ours = pairs.posthorn.map((sample) => figure(sample, goal.unit))
  const theirs = ours.map((_, index) => {
    const sample = pairs.reference[index]
    return (goal.plus ?? plus) + (sample === undefined ? 0 : figure(sample, goal.unit))
  })
  const interval = intervalOf(ours.map((value, index) => value / (theirs[index] as number)))
  return {
    id: goal.id,
    what,
    unit: goal.unit,
    posthorn: spreadOf(ours),
    reference: { name, ...spreadOf(theirs) },
    ratio: interval.ratio,
    goal: `${goal.atMost === undefined ? `>= ${goal.atLeast}` : `<= ${goal.atMost}`}${goal.plus === undefined ? '' : `, + ${goal.plus}`}`,
    holds: verdictOf(interval, goal),
  }
}

const short = (value: number): string => {
  if (value >= 10_000) return Math.round(value).toLocaleString('en-US')
  return value >= 100 ? value.toFixed(0) : value >= 10 ? value.toFixed(1) : value.toFixed(3)
}

const spread = ({ median, min, max }: Spread): string => `${short(median)} (${short(min)}..${short(max)})`

/** What stands above rows in a table in Markdown. */
export const heading =
  '| id | what | unit | posthorn | reference | ratio | goal | holds |\n|---|---|---|---|---|---|---|---|'

/** A row as a line of that table. */
export const lineOf = ({ id, what, unit, posthorn, reference, ratio, goal, holds }: Row): string =>
  `| ${id} | ${what} | ${unit} | ${spread(posthorn)} | ${spread(reference)} ${reference.name} | ${ratio.toFixed(2)} | ${goal} | ${holds} |`

/** CPU and memory of a case's sides, which every block measures. */
export const costsOf = ({ what }: Case, pairs: Pairs): string => {
  const side = (name: string, samples: readonly Sample[]): string => {
    if (samples.length === 0) return ''
    const cpu = spreadOf(samples.map((sample) => figure(sample, 's CPU/100k'))).median
    const rss = spreadOf(samples.map(({ rssMb }) => rssMb)).median
    return `${name} ${cpu.toFixed(3)} s CPU/100k, ${rss.toFixed(0)} MB`
  }
  return [`${what}: ${side('posthorn', pairs.posthorn)}`, side('reference', pairs.reference)]
    .filter((each) => each !== '')
    .join('; ')
}
