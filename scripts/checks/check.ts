/** One thing that must hold of the tree. */
export interface Check {
  readonly name: string
  /** What to do when it fails. */
  readonly repair: string
  /** What does not hold, one entry each; nothing when all is well. */
  readonly run: () => Promise<readonly string[]> | readonly string[]
}

/** How a check went. */
export interface Outcome {
  readonly name: string
  readonly findings: readonly string[]
  readonly seconds: number
}

/** Runs checks one after the other and prints one line for each, with what it found below. */
export const runChecks = async (checks: readonly Check[]): Promise<readonly Outcome[]> => {
  const outcomes: Outcome[] = []
  for (const check of checks) outcomes.push(await runCheck(check))
  return outcomes
}

const runCheck = async ({ name, repair, run }: Check): Promise<Outcome> => {
  const began = performance.now()
  const findings = await attempt(run)
  const seconds = (performance.now() - began) / 1000
  const line = `${findings.length === 0 ? 'ok    ' : 'FAILED'} ${name.padEnd(22)} ${seconds.toFixed(1).padStart(5)} s`
  const details = findings.length === 0 ? [] : [...findings.map(indented), indented(`To do: ${repair}`)]
  console.log([line, ...details].join('\n'))
  return { name, findings, seconds }
}

const attempt = async (run: Check['run']): Promise<readonly string[]> => {
  try {
    return await run()
  } catch (error) {
    return [error instanceof Error ? error.message : String(error)]
  }
}

const indented = (text: string): string => {
  const lines = text.trimEnd().split('\n')
  const rest = lines.length - mostLines
  const shown = rest > 0 ? [...lines.slice(0, mostLines), `... ${rest} more lines`] : lines
  return shown.map((line) => `       ${line}`).join('\n')
}

/** Of one finding: enough to begin with. */
const mostLines = 60
