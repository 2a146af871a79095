import { spawn } from 'node:child_process'
import { closeSync, openSync, readdirSync, readFileSync, readlinkSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Launch, Process } from './broker.ts'
import { until } from './condition.ts'

/** What /proc says of a running process. `R`, `S`, `D` run; `T` is stopped by SIGSTOP; `Z` has ended. */
interface Stat {
  readonly pid: number
  readonly state: string
  readonly group: number
  readonly startedAt: string
}

/** Written beside the log at each launch; the start time tells a process from a later one with its number. */
interface PidRecord {
  readonly pid: number
  readonly startedAt: string
}

const marker = 'POSTHORN_PROCESS'
const pidFile = (folder: string): string => join(folder, 'process.json')

/** Where a process's output goes. */
export const logFile = (folder: string): string => join(folder, 'log')

const read = (path: string): string | undefined => {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    return undefined
  }
}

const stat = (pid: number): Stat | undefined => {
  const line = read(`/proc/${pid}/stat`)
  if (line === undefined) return undefined
  // The second field is the name in brackets and may hold blanks; the fields after it do not.
  const fields = line.slice(line.lastIndexOf(')') + 2).split(' ')
  return { pid, state: fields[0]!, group: Number(fields[2]), startedAt: fields[19]! }
}

// Three witnesses, because some servers overwrite their own command line or environment.
const belongs = (pid: number, folder: string): boolean => {
  if (read(`/proc/${pid}/environ`)?.split('\0').includes(`${marker}=${folder}`)) return true
  if (read(`/proc/${pid}/cmdline`)?.includes(`${folder}/`)) return true
  try {
    return `${readlinkSync(`/proc/${pid}/cwd`)}/`.startsWith(`${folder}/`)
  } catch {
    return false
  }
}

/**
 * The living processes of a launch: the group of the recorded pid, each of them checked to be of this folder. Nothing else is
 * ever signalled.
 */
export const members = (folder: string): readonly Stat[] => {
  const text = read(pidFile(folder))
  if (text === undefined) return []
  const record = JSON.parse(text) as PidRecord
  const leader = stat(record.pid)
  if (leader !== undefined && leader.startedAt !== record.startedAt) return []
  return readdirSync('/proc')
    .filter((entry) => /^\d+$/.test(entry))
    .map((entry) => stat(Number(entry)))
    .filter((each) => each !== undefined)
    .filter(({ pid, group, state }) => group === record.pid && !'ZX'.includes(state) && belongs(pid, folder))
}

/** Whether a process runs, is frozen by SIGSTOP, or does not run. */
export const stateOf = (folder: string): 'running' | 'frozen' | 'stopped' => {
  const alive = members(folder)
  if (alive.length === 0) return 'stopped'
  return alive.some(({ state }) => state === 'T') ? 'frozen' : 'running'
}

/** Resident memory of a process and its children, in megabytes. */
export const memoryOf = (folder: string): number =>
  members(folder).reduce((sum, { pid }) => {
    const kilobytes = /^VmRSS:\s+(\d+)/m.exec(read(`/proc/${pid}/status`) ?? '')?.[1]
    return sum + Number(kilobytes ?? 0) / 1024
  }, 0)

/** Launches a process that outlives this one, as the leader of its own group, with an empty log. */
export const launch = (process: Process, { file, args, env }: Launch): void => {
  // Emptied first: a ready line of the run before must not be found.
  const log = openSync(logFile(process.folder), 'w')
  try {
    const child = spawn(file, args, {
      cwd: process.folder,
      detached: true,
      stdio: ['ignore', log, log],
      env: { ...cleanEnvironment(), ...env, [marker]: process.folder },
    })
    child.on('error', () => {}) // reported below: there is no pid then
    child.unref()
    if (child.pid === undefined) throw new Error(`${file} could not be started: is it there and executable?`)
    const record: PidRecord = { pid: child.pid, startedAt: stat(child.pid)?.startedAt ?? '' }
    writeFileSync(pidFile(process.folder), JSON.stringify(record))
  } finally {
    closeSync(log)
  }
}

const cleanEnvironment = (): Record<string, string> => ({
  PATH: globalThis.process.env['PATH'] ?? '/usr/bin:/bin',
  LANG: 'C.UTF-8',
  ...(globalThis.process.env['JAVA_HOME'] ? { JAVA_HOME: globalThis.process.env['JAVA_HOME'] } : {}),
})

/** Signals every process of a launch. */
export const signalAll = (folder: string, signal: 'SIGKILL' | 'SIGSTOP' | 'SIGCONT'): void => {
  for (const { pid } of members(folder)) send(pid, signal)
}

const send = (pid: number, signal: NodeJS.Signals): void => {
  try {
    process.kill(pid, signal)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error
  }
}

const gone = (folder: string) => (): string | undefined =>
  members(folder).length === 0 ? undefined : `${members(folder).map(({ pid }) => pid)} still run`

/** Ends a launch at once, as a power cut would, and waits until it is gone. */
export const kill = async (folder: string): Promise<void> => {
  signalAll(folder, 'SIGKILL')
  await until(gone(folder), { withinMs: 20_000, everyMs: 20 })
}

/** Asks a launch to end, waits, and kills what has not ended in time. */
export const end = async (folder: string, withinMs = 30_000): Promise<void> => {
  signalAll(folder, 'SIGCONT')
  const [first] = members(folder)
  if (first === undefined) return
  // The leader alone: a server's own children would take a signal of their own for a crash.
  const leader = members(folder).find(({ pid, group }) => pid === group) ?? first
  send(leader.pid, 'SIGTERM')
  await until(gone(folder), { withinMs, everyMs: 20 }).catch(() => kill(folder))
  rmSync(pidFile(folder), { force: true })
}
