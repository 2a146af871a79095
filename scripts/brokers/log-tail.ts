import { readFileSync } from 'node:fs'

/** The last lines of a log, or a line that says that there is none. */
export const logTail = (file: string, lines: number): string => {
  try {
    return readFileSync(file, 'utf8').trimEnd().split('\n').slice(-lines).join('\n')
  } catch {
    return `(no log at ${file})`
  }
}
