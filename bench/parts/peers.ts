import { spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { createRequire } from 'node:module'
import { join, resolve } from 'node:path'

const folder = resolve(import.meta.dirname, '../peers')

/** Installs what is in `bench/peers`, where it is not there yet. */
export const installPeers = (): void => {
  if (existsSync(join(folder, 'node_modules'))) return
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
