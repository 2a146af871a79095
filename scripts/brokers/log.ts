import { readFileSync } from 'node:fs'

/** What a server that cannot go on says first is the cause; what it says last is how it ended. */
const complaint = /\[error\]|\b(?:ERROR|FATAL|BOOT FAILED)\b|\w(?:Exception|Error): /

/** The last lines of a log, or a line that says that there is none. */
export const logTail = (file: string, lines: number): string => {
  try {
    return readFileSync(file, 'utf8').trimEnd().split('\n').slice(-lines).join('\n')
  } catch {
    return `(no log at ${file})`
  }
}

/** The first lines of a log that complain; none where none does, or where there is no log. */
export const complaints = (file: string, most: number): string =>
  logTail(file, Number.POSITIVE_INFINITY)
    .split('\n')
    .filter((line) => complaint.test(line))
    .slice(0, most)
    .join('\n')
