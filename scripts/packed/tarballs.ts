// What `pnpm publish` would send, as files.
import { existsSync, globSync, mkdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { checkout } from '../brokers/places.ts'
import { pnpm } from '../command.ts'
import type { Member } from '../workspace.ts'

/** Git ignores it. */
const tarballFolder = join(checkout, '.packed')

/** The tarball of a package. */
export const tarballOf = ({ manifest: { name, version } }: Member): string =>
  join(tarballFolder, `${name.replace('@', '').replace('/', '-')}-${version}.tgz`)

/** What `tsc -b` left of sources that are gone would go out with the rest. */
const removeStale = (folder: string): void => {
  const dist = join(checkout, folder, 'dist')
  for (const path of globSync('**/*.{js,d.ts,js.map,d.ts.map}', { cwd: dist })) {
    const source = join(checkout, folder, 'src', path.replace(/(?:\.d\.ts|\.js)(?:\.map)?$/, '.ts'))
    if (!existsSync(source)) rmSync(join(dist, path))
  }
}

/** Packs the built packages; what was there before is replaced. */
export const packAll = async (packages: readonly Member[]): Promise<void> => {
  rmSync(tarballFolder, { recursive: true, force: true })
  mkdirSync(tarballFolder, { recursive: true })
  for (const { folder } of packages) removeStale(folder)
  const filters = packages.flatMap(({ manifest }) => ['--filter', manifest.name])
  await pnpm(['-r', ...filters, 'pack', '--pack-destination', tarballFolder])
}
