import { accessSync, constants, mkdirSync } from 'node:fs'
import { homedir, tmpdir } from 'node:os'
import { join, resolve } from 'node:path'

/** The checkout that these scripts belong to. */
export const checkout = resolve(import.meta.dirname, '../..')

/** Where this checkout's brokers keep data, configuration and logs; git ignores it. */
export const brokersFolder = join(checkout, '.brokers')

const writable = (folder: string): boolean => {
  try {
    mkdirSync(folder, { recursive: true })
    accessSync(folder, constants.W_OK)
    return true
  } catch {
    return false
  }
}

/**
 * Where downloads are kept, outside every clone: the user's cache, or the system's temporary folder where the home folder
 * cannot be written.
 */
export const cacheFolder = (): string => {
  const own = join(process.env['XDG_CACHE_HOME'] || join(homedir(), '.cache'), 'posthorn')
  if (writable(own)) return own
  const fallback = join(tmpdir(), `posthorn-cache-${process.getuid?.() ?? 'user'}`)
  mkdirSync(fallback, { recursive: true, mode: 0o700 })
  return fallback
}
