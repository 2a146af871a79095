import type { DatabaseSync } from 'node:sqlite'
import { MessagingError, urlText } from '@posthorn/core/driver'

/** Settings of the SQLite adapter. */
export interface SqliteOptions {
  /** The file; made if it is not there, its folder not. */
  readonly path?: string | undefined
  /** Or your own open handle on a file: only its file is used, and it stays open. */
  readonly database?: DatabaseSync | undefined
  /**
   * `full`: what was acknowledged survives the loss of power. `normal`: it survives the end of every process, but the last moments before a
   * loss of power may be gone; about seven times the single sends per second.
   */
  readonly synchronous?: 'full' | 'normal' | undefined
  /** How long a delivery is a member's without being extended. Default 30 s. */
  readonly leaseMs?: number | undefined
  /** Settled messages of a topic that names no retention are kept this long. Default 7 days. */
  readonly retentionMs?: number | undefined
  /** Between two looks for what other processes wrote, while they write; the first of it wakes who waits at once. Default 10 ms. */
  readonly probeMs?: number | undefined
}

/** The options with their defaults. */
export interface SqliteSettings {
  readonly path: string
  readonly synchronous: 'full' | 'normal'
  readonly leaseMs: number
  readonly retentionMs: number
  readonly probeMs: number
}

const known = ['path', 'database', 'synchronous', 'leaseMs', 'retentionMs', 'probeMs']
const inUrl = known.slice(2)

/** Checks options and fills in defaults. */
export function settingsOf(given: string | SqliteOptions): SqliteSettings {
  const refuse = (what: string): never => {
    throw new MessagingError('invalid', `sqlite(${what}`)
  }
  const options: SqliteOptions = typeof given === 'string' ? { path: given } : given
  if (typeof options !== 'object' || options === null) refuse("): give a path, such as sqlite('./data/app.db')")
  for (const name of Object.keys(options))
    if (!known.includes(name)) refuse(`{ ${name} }): there is no such option; known are ${known.join(', ')}`)
  const { database, synchronous = 'full' } = options
  if (options.path !== undefined && database !== undefined) refuse('{ path, database }): give one of them')
  const path = options.path ?? fileOf(database, refuse)
  if (typeof path !== 'string' || path === '') refuse('{ path }): name a file, such as ./data/app.db')
  if (path.startsWith('file:')) refuse(`'${path}'): give the path itself, without file:`)
  if (path.startsWith('sqlite:')) refuse('): give the path itself, without sqlite:; a URL by itself is for connect()')
  if (path === ':memory:')
    refuse(
      `'${path}'): a database in memory belongs to one connection alone and is gone with it, and this adapter needs a file; use memory: for tests, or a file in a temporary folder`,
    )
  if (path.includes('\0')) refuse('{ path }): it has a NUL in it')
  if (synchronous !== 'full' && synchronous !== 'normal')
    refuse(`{ synchronous: ${JSON.stringify(synchronous)} }): it is 'full' or 'normal'`)
  const whole = (
    name: 'leaseMs' | 'retentionMs' | 'probeMs',
    standard: number,
    least: number,
    most: number,
  ): number => {
    const value = options[name] ?? standard
    if (!(Number.isInteger(value) && value >= least && value <= most))
      refuse(`{ ${name}: ${value} }): it is a whole number from ${least} to ${most} ms`)
    return value
  }
  return {
    path,
    synchronous,
    leaseMs: whole('leaseMs', 30_000, 100, 86_400_000),
    retentionMs: whole('retentionMs', 7 * 86_400_000, 0, Number.MAX_SAFE_INTEGER),
    probeMs: whole('probeMs', 10, 1, 60_000),
  }
}

function fileOf(database: DatabaseSync | undefined, refuse: (what: string) => never): string {
  if (database === undefined) return refuse("): give a path, such as sqlite('./data/app.db')")
  if (typeof database.location !== 'function') return refuse('{ database }): it is no DatabaseSync of node:sqlite')
  if (!database.isOpen) return refuse('{ database }): it is closed; open it first')
  const file = database.location()
  if (file === null || file === '')
    return refuse('{ database }): it lives in memory, where no second handle can see it; open it on a file')
  return file
}

/** Reads `sqlite:./app.db`, `sqlite:/abs/app.db` or `sqlite:///abs/app.db`, with the options as parameters. */
export function optionsFromUrl(url: string): SqliteOptions {
  const [, rest = '', query = ''] = /^sqlite:([^?#]*)(?:\?([^#]*))?$/i.exec(urlText(url)) ?? []
  const refuse = (what: string): never => {
    throw new MessagingError('invalid', `${url} is not a SQLite URL: ${what}`)
  }
  if (url.includes('#')) refuse('a # in it begins what is no part of the path; write # as %23')
  const plain = (text: string): string => {
    try {
      return decodeURIComponent(text)
    } catch {
      return refuse('a % in it is not followed by two hex digits; write % as %25')
    }
  }
  if (/^\/\/[^/]/.test(rest))
    refuse(
      'there is no host; write sqlite:./data/app.db for a path from here, sqlite:/data/app.db for one from the root',
    )
  const path = plain(rest.startsWith('///') ? rest.slice(2) : rest)
  if (path === '') refuse('name a file, as in sqlite:./data/app.db')
  const options: Record<string, string | number> = { path }
  for (const part of query.split('&')) {
    if (part === '') continue
    const [name = '', value = ''] = part.split('=').map(plain)
    if (!inUrl.includes(name)) refuse(`it has no parameter ${JSON.stringify(name)}; known are ${inUrl.join(', ')}`)
    if (Object.hasOwn(options, name)) refuse(`the parameter ${name} is there twice`)
    options[name] = name === 'synchronous' ? value : value === '' ? Number.NaN : Number(value)
  }
  return options
}
