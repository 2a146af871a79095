// LIKE without a regular expression: its time is bounded by text times pattern, whatever a stranger puts into a header.

/** A run between two `%`: code points, `undefined` where `_` stands; `text` where there is none. */
interface Run {
  readonly points: readonly (number | undefined)[]
  readonly text: string | undefined
}

/** What is wrong with a pattern: the escape character must stand before `%`, `_` or itself. */
export function escapeFault(pattern: string, escapeBy: string): string | undefined {
  let escaped = false
  for (const character of pattern) {
    if (!escaped) escaped = character === escapeBy
    else if (character === '%' || character === '_' || character === escapeBy) escaped = false
    else break
  }
  if (!escaped) return undefined
  return `in a LIKE pattern the escape ${JSON.stringify(escapeBy)} stands before %, _ or itself`
}

/** Whether a text has the pattern's form: `%` any characters, `_` one code point, case matters, the whole text. */
export function like(pattern: string, escapeBy: string | undefined): (text: string) => boolean {
  const runs = runsOf(pattern, escapeBy)
  const [first, ...rest] = runs as [Run, ...Run[]]
  const last = rest.pop()
  if (last === undefined) {
    const { text } = first
    if (text !== undefined) return (subject) => subject === text
    return (subject) => startAt(first, subject, 0) === subject.length
  }
  const middle = rest.filter((run) => run.points.length > 0)
  return (subject) => {
    let at = startAt(first, subject, 0)
    if (at < 0) return false
    for (const run of middle) {
      at = search(run, subject, at)
      if (at < 0) return false
    }
    const tail = back(subject, last)
    return tail >= at && startAt(last, subject, tail) === subject.length
  }
}

function runsOf(pattern: string, escapeBy: string | undefined): readonly Run[] {
  const runs: (number | undefined)[][] = [[]]
  let escaped = false
  for (const character of pattern) {
    const current = runs[runs.length - 1] as (number | undefined)[]
    if (!escaped && character === escapeBy) escaped = true
    else {
      if (escaped || (character !== '%' && character !== '_')) current.push(character.codePointAt(0))
      else if (character === '_') current.push(undefined)
      else runs.push([])
      escaped = false
    }
  }
  return runs.map((points) => ({
    points,
    text: points.includes(undefined)
      ? undefined
      : points.map((point) => String.fromCodePoint(point as number)).join(''),
  }))
}

/** Where the run ends if it begins at `at`; -1 where it does not. */
function startAt(run: Run, subject: string, at: number): number {
  if (run.text !== undefined) return subject.startsWith(run.text, at) ? at + run.text.length : -1
  let here = at
  for (const wanted of run.points) {
    const point = subject.codePointAt(here)
    if (point === undefined || (wanted !== undefined && wanted !== point)) return -1
    here += point > 0xffff ? 2 : 1
  }
  return here
}

/** Where the first occurrence from `at` on ends; -1 where there is none. The first is enough: what follows begins with `%`. */
function search(run: Run, subject: string, at: number): number {
  if (run.text !== undefined) {
    const found = subject.indexOf(run.text, at)
    return found < 0 ? -1 : found + run.text.length
  }
  for (let from = at; from < subject.length; from += (subject.codePointAt(from) as number) > 0xffff ? 2 : 1) {
    const end = startAt(run, subject, from)
    if (end >= 0) return end
  }
  return -1
}

/** Where the run must begin to end with the subject; -1 where the subject is too short. */
function back(subject: string, run: Run): number {
  if (run.text !== undefined) return subject.length - run.text.length
  let at = subject.length
  for (let left = run.points.length; left > 0; left -= 1) {
    if (at <= 0) return -1
    const low = subject.charCodeAt(at - 1)
    const pair = low >= 0xdc00 && low <= 0xdfff && at > 1 && (subject.charCodeAt(at - 2) & 0xfc00) === 0xd800
    at -= pair ? 2 : 1
  }
  return at
}
