import { createHash } from 'node:crypto'
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { needTools, run } from './host-tools.ts'
import { locked } from './lock.ts'
import { cacheFolder } from './places.ts'
import { makeRelocatable } from './relocation.ts'

/** A set of Debian packages, unpacked into one folder. */
export interface PackageSet {
  readonly name: string
  /** By code name; packages are asked for by name alone, because a suite's versions come and go. */
  readonly suite: string
  readonly packages: readonly string[]
  /** The variable that the error names where the host cannot unpack Debian packages. */
  readonly orSet: string
}

// Counts up when trees that older scripts unpacked are no longer right.
const recipe = 2

/**
 * Unpacks packages of a Debian suite into a folder of the cache, runnable there by any user on any x86-64 Linux, whatever the
 * host's own versions are. Done once per machine; `SHA256SUMS` in the folder says what was had.
 */
export const debianTree = async (set: PackageSet): Promise<string> => {
  const wanted = JSON.stringify([recipe, set.suite, set.packages])
  const key = createHash('sha256').update(wanted).digest('hex').slice(0, 8)
  const tree = join(cacheFolder(), 'debian', `${set.name}-${set.suite}-${key}`)
  if (existsSync(tree)) return tree
  if (process.platform !== 'linux' || process.arch !== 'x64') {
    throw new Error(
      `${set.name} is unpacked from Debian packages for Linux on x86-64: set ${set.orSet} to a broker that already runs`,
    )
  }
  await needTools(
    [
      { file: 'apt-get', probe: ['--version'], debian: 'apt' },
      { file: 'dpkg-deb', probe: ['--version'], debian: 'dpkg' },
      { file: 'tar', probe: ['--version'], debian: 'tar' },
    ],
    set.orSet,
  )
  return locked(`${tree}.lock`, async () => {
    if (existsSync(tree)) return tree
    process.stderr.write(`downloading ${set.name} (Debian ${set.suite}) to ${tree}\n`)
    const partial = `${tree}.partial`
    const state = `${tree}.apt`
    rmSync(partial, { recursive: true, force: true })
    mkdirSync(partial, { recursive: true })
    await download(set, state)
    await unpack(join(state, 'debs'), partial)
    makeRelocatable(partial)
    renameSync(partial, tree)
    rmSync(state, { recursive: true, force: true })
    return tree
  })
}

const keyring = '/usr/share/keyrings/debian-archive-keyring.gpg'

const download = async ({ suite, packages, orSet }: PackageSet, state: string): Promise<void> => {
  mkdirSync(join(state, 'lists/partial'), { recursive: true })
  mkdirSync(join(state, 'debs/partial'), { recursive: true })
  if (!existsSync(keyring)) {
    throw new Error(`${keyring} is missing: install the package debian-archive-keyring, or set ${orSet}`)
  }
  const mirror = debianMirror()
  if (mirror === undefined) {
    throw new Error(
      `no Debian mirror in /etc/apt: set DEBIAN_MIRROR to one (the address without /debian), or set ${orSet}`,
    )
  }
  const signed = `deb [arch=amd64 signed-by=${keyring}]`
  const sources = [`${signed} ${mirror}/debian ${suite} main`]
  // The rolling suite has no security suite of its own.
  if (suite !== 'forky') sources.push(`${signed} ${mirror}/debian-security ${suite}-security main`)
  writeFileSync(join(state, 'status'), '')
  writeFileSync(join(state, 'sources.list'), `${sources.join('\n')}\n`)
  writeFileSync(join(state, 'apt.conf'), aptConfiguration(state))
  const env = { APT_CONFIG: join(state, 'apt.conf') }
  await run('apt-get', ['-qq', 'update'], { env })
  await run('apt-get', ['-qq', 'download', ...packages], { env, cwd: join(state, 'debs') })
}

// A mirror's index may be past its date; signatures are checked all the same.
const aptConfiguration = (state: string): string => `Dir::Etc::sourcelist "${state}/sources.list";
Dir::Etc::sourceparts "-";
Dir::Etc::preferencesparts "-";
Dir::State::lists "${state}/lists";
Dir::State::status "${state}/status";
Dir::Cache "${state}/debs";
Dir::Cache::archives "${state}/debs";
APT::Architecture "amd64";
APT::Sandbox::User "";
Acquire::Languages "none";
Acquire::Check-Valid-Until "false";
Acquire::Retries "3";
`

/** The mirror that the host itself uses, or `DEBIAN_MIRROR`; without the path `/debian`. */
const debianMirror = (): string | undefined => {
  if (process.env['DEBIAN_MIRROR']) return process.env['DEBIAN_MIRROR'].replace(/\/(debian\/?)?$/, '')
  const parts = '/etc/apt/sources.list.d'
  const files = [
    '/etc/apt/sources.list',
    ...(existsSync(parts) ? readdirSync(parts).map((file) => join(parts, file)) : []),
  ]
  return files
    .filter((file) => /\.(list|sources)$/.test(file) && existsSync(file))
    .flatMap((file) => readFileSync(file, 'utf8').split('\n'))
    .filter((line) => !line.trimStart().startsWith('#'))
    .map((line) => /(https?:\/\/\S+?)\/debian\/?(\s|$)/.exec(line)?.[1])
    .find((found) => found !== undefined)
}

const left = ['./usr/share/doc*', './usr/share/man*', './usr/share/locale*', './etc/*']

const unpack = async (debs: string, tree: string): Promise<void> => {
  const files = readdirSync(debs)
    .filter((file) => file.endsWith('.deb'))
    .sort()
  const tar = [
    '-x',
    '-C',
    tree,
    '--no-same-owner',
    '--keep-directory-symlink',
    ...left.map((path) => `--exclude=${path}`),
  ]
  // Older suites have files under both; one folder for each kind, as on a machine where they were installed.
  for (const folder of ['bin', 'lib', 'lib64', 'sbin']) {
    mkdirSync(join(tree, 'usr', folder), { recursive: true })
    symlinkSync(`usr/${folder}`, join(tree, folder))
  }
  const sums: string[] = []
  for (const file of files) {
    const deb = join(debs, file)
    sums.push(`${createHash('sha256').update(readFileSync(deb)).digest('hex')}  ${file}`)
    await run('sh', ['-c', 'deb=$1; shift; dpkg-deb --fsys-tarfile "$deb" | tar "$@"', 'sh', deb, ...tar])
  }
  writeFileSync(join(tree, 'SHA256SUMS'), `${sums.join('\n')}\n`)
}
