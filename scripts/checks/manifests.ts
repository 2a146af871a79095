// What every published package.json has in common, so that consumers get what they expect.
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { checkout } from '../brokers/places.ts'
import { type Exports, type Manifest, type Member, readJson } from '../workspace.ts'
import type { Check } from './check.ts'

const sourceCondition = 'posthorn:source'

/** The exports that go out: without our source, which is not in the tarball. */
export const publishedExports = (exports: Exports): Exports =>
  Object.fromEntries(
    Object.entries(exports).map(([path, target]) => [
      path,
      typeof target === 'string'
        ? target
        : Object.fromEntries(Object.entries(target).filter(([condition]) => condition !== sourceCondition)),
    ]),
  )

/** The package.json fields that are not as in the other packages. */
export const againstHouse = (manifest: Manifest): readonly string[] => {
  const { exports = {} } = manifest
  const asTheyAre = Object.values(exports).filter((target) => typeof target === 'string')
  const wanted: readonly (readonly [string, unknown, unknown])[] = [
    ['type', manifest.type, 'module'],
    ['license', manifest.license, 'Apache-2.0'],
    ['sideEffects', manifest.sideEffects, false],
    ['engines.node', manifest.engines?.['node'], '>=22.22'],
    [
      'files',
      manifest.files,
      ['dist', '!dist/**/*.map', '!dist/.tsbuildinfo', ...asTheyAre.map((path) => path.replace('./', ''))],
    ],
    ['scripts.build', manifest.scripts?.['build'], 'tsc -b'],
    ['publishConfig.access', manifest.publishConfig?.access, 'public'],
    ['publishConfig.exports', manifest.publishConfig?.exports, publishedExports(exports)],
  ]
  return [
    ...wanted
      .filter(([, is, should]) => JSON.stringify(is) !== JSON.stringify(should))
      .map(([field, , should]) => `${field} must be ${JSON.stringify(should)}`),
    ...(manifest.description ? [] : ['description is missing']),
    ...Object.entries(exports)
      .filter(([, target]) => typeof target !== 'string' && Object.keys(target)[0] !== sourceCondition)
      .map(([path]) => `exports["${path}"] must begin with the condition ${sourceCondition}`),
  ]
}

interface Project {
  readonly references?: readonly { readonly path: string }[]
}
interface Turbo {
  readonly tasks: Readonly<Record<string, { readonly dependsOn?: readonly string[] }>>
}

/** Both builders know the order: `tsc -b` by references, turbo by tasks (`^build` would follow devDependencies, which go in circles). */
const againstBuildOrder = ({ folder, manifest }: Member, all: readonly Member[], turbo: Turbo): readonly string[] => {
  const needed = Object.keys({ ...manifest.dependencies, ...manifest.peerDependencies })
    .map((name) => all.find((each) => each.manifest.name === name))
    .filter((each) => each !== undefined)
  const { references = [] } = readJson<Project>(`${folder}/tsconfig.json`)
  const tasks = turbo.tasks[`${manifest.name}#build`]?.dependsOn ?? []
  return [
    ...same(
      'tsconfig.json references',
      references.map(({ path }) => path),
      needed.map((each) => each.folder.replace('packages/', '../')),
    ),
    ...same(
      `turbo.json ${manifest.name}#build dependsOn`,
      tasks,
      needed.map((each) => `${each.manifest.name}#build`),
    ),
  ]
}

const same = (what: string, is: readonly string[], should: readonly string[]): readonly string[] =>
  [...is].sort().join() === [...should].sort().join() ? [] : [`${what} must be ${should.join(', ') || 'empty'}`]

/** The fields of every published package, and the order in which they are built. */
export const manifests = (packages: () => readonly Member[]): Check => ({
  name: 'package.json fields',
  repair: 'mend the package.json (or turbo.json, tsconfig.json) that is named',
  run: () => {
    const all = packages()
    const turbo = readJson<Turbo>('turbo.json')
    return all.flatMap((member) =>
      [
        ...againstHouse(member.manifest),
        ...againstBuildOrder(member, all, turbo),
        ...(existsSync(join(checkout, member.folder, 'README.md')) ? [] : ['README.md is missing']),
      ].map((each) => `${member.folder}: ${each}`),
    )
  },
})
