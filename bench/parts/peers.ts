import { spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { join, resolve } from 'node:path'

const folder = resolve(import.meta.dirname, '../peers')

const text = (path: string): string | undefined => {
  try {
    return readFileSync(join(folder, path), 'utf8')
  } catch {
    return undefined
  }
}

/** Installs what the lockfile of `bench/peers` names, unless just that is there. */
export const installPeers = (): void => {
  // pnpm keeps a copy of the lockfile that it installed.
  if (text('node_modules/.pnpm/lock.yaml') === text('pnpm-lock.yaml')) return
  const args = [
    '-y',
    'pnpm@12.21.0',
    'install',
    '--ignore-workspace',
    '--frozen-lockfile',
    '--ignore-scripts',
    '--dir',
    folder,
  ]
  const { status } = spawnSync('npx', args, { stdio: ['ignore', 'ignore', 'inherit'] })
  if (status !== 0) throw new Error(`the packages to compare with could not be installed; try: npx ${args.join(' ')}`)
}

/** Loads one of them; whoever asks knows its shape. */
export const peer = <T>(name: string): T => createRequire(join(folder, 'package.json'))(name) as T
