// What a consumer gets, looked at from outside.
import { existsSync, globSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { checkout } from '../brokers/places.ts'
import { command, succeeding } from '../command.ts'
import { packAll, tarballOf } from '../packed/tarballs.ts'
import type { Member } from '../workspace.ts'
import type { Check } from './check.ts'

/** Import and export statements and calls of import(), as the compiler writes them; a relative path is not a package. */
const imported = /^(?:import|export)\b(?:[^'"]*\bfrom)? *['"]([^'".][^'"]*)['"]|\bimport\(['"]([^'".][^'"]*)['"]\)/gm

const packageOf = (specifier: string): string =>
  specifier
    .split('/')
    .slice(0, specifier.startsWith('@') ? 2 : 1)
    .join('/')

/** Packages that the built code asks for and that its package.json does not promise to a consumer. */
const unpromised = ({ folder, manifest }: Member): readonly string[] => {
  const promised = Object.keys({ [manifest.name]: '', ...manifest.dependencies, ...manifest.peerDependencies })
  const dist = join(checkout, folder, 'dist')
  return globSync('**/*.{js,d.ts}', { cwd: dist }).flatMap((file) =>
    [...readFileSync(join(dist, file), 'utf8').matchAll(imported)]
      .map(([, statement, call]) => packageOf(statement ?? call ?? ''))
      .filter((name) => !name.startsWith('node:') && !promised.includes(name))
      .map((name) => `${folder}: dist/${file} imports ${name}, which is neither a dependency nor a peer`),
  )
}

const ofEveryPackage =
  /^package\/(?:dist\/.+(?<!\.test(?:-d)?)(?:\.js|\.d\.ts)|package\.json|README\.md|LICENSE|CHANGELOG\.md)$/

/** Packs every published package for the checks behind it; a source, a test or a map in a tarball is a finding. */
export const packed = (packages: () => readonly Member[]): Check => ({
  name: 'pack',
  repair: 'mend `files` in the package.json, or what it is built from',
  run: async () => {
    await packAll(packages())
    const findings = packages().map(async (member) => {
      const files = (await succeeding('tar', ['-tzf', tarballOf(member)])).split('\n').filter((file) => file !== '')
      const asTheyAre = Object.values(member.manifest.exports ?? {}).filter((target) => typeof target === 'string')
      const mayBe = new Set(asTheyAre.map((path) => `package/${path.replace('./', '')}`))
      return [
        ...files
          .filter((file) => !ofEveryPackage.test(file) && !mayBe.has(file))
          .map((file) => `${member.folder}: the tarball has ${file}`),
        ...['package/dist/index.js', 'package/dist/index.d.ts', 'package/README.md', 'package/LICENSE']
          .filter((file) => !files.includes(file))
          .map((file) => `${member.folder}: the tarball lacks ${file}`),
      ]
    })
    return [...(await Promise.all(findings)).flat(), ...packages().flatMap(unpromised)]
  },
})

const onTarballs = (
  name: string,
  repair: string,
  packages: () => readonly Member[],
  call: (tarball: string) => readonly [string, ...string[]],
): Check => ({
  name,
  repair,
  run: async () => {
    const findings: string[] = []
    for (const member of packages()) {
      const tarball = tarballOf(member)
      const [program, ...args] = call(tarball)
      const { code, output } = existsSync(tarball)
        ? await command(program, args)
        : { code: 1, output: 'there is no tarball: the packing before this failed' }
      if (code !== 0) findings.push(`${member.folder}: ${output}`)
    }
    return findings
  },
})

/** publint over each tarball. */
export const publishable = (packages: () => readonly Member[]): Check =>
  onTarballs('publint', 'see https://publint.dev/rules for the rule that is named', packages, (tarball) => [
    'publint',
    '--strict',
    tarball,
  ])

/** attw over each tarball: the types that a consumer's compiler finds are those of the code that Node finds. */
export const typesArrive = (packages: () => readonly Member[]): Check =>
  onTarballs('attw', 'mend `exports` (and publishConfig.exports) in the package.json', packages, (tarball) => [
    'attw',
    '--profile',
    'esm-only',
    '--no-emoji',
    '--format',
    'ascii',
    tarball,
  ])
