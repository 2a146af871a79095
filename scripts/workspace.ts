import { existsSync, globSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { checkout } from './brokers/places.ts'

type Names = Readonly<Record<string, string>>

/** By path: a module by condition, or a file as it is. */
export type Exports = Readonly<Record<string, Names | string>>

/** A `package.json`, as far as the scripts look at it. */
export interface Manifest {
  readonly name: string
  readonly version?: string
  readonly private?: boolean
  readonly type?: string
  readonly license?: string
  readonly description?: string
  readonly sideEffects?: boolean
  readonly engines?: Names
  readonly files?: readonly string[]
  readonly exports?: Exports
  readonly publishConfig?: { readonly access?: string; readonly exports?: Exports }
  readonly scripts?: Names
  readonly dependencies?: Names
  readonly optionalDependencies?: Names
  readonly peerDependencies?: Names
  readonly peerDependenciesMeta?: Readonly<Record<string, { readonly optional?: boolean }>>
  readonly devDependencies?: Names
}

/** A package of this workspace. */
export interface Member {
  /** From the checkout: `packages/core`. */
  readonly folder: string
  readonly manifest: Manifest
}

/** What a JSON file of this checkout says. */
export const readJson = <T>(path: string): T => JSON.parse(readFileSync(join(checkout, path), 'utf8')) as T

/** Every package of the workspace, sorted by folder. */
export const members = (): readonly Member[] =>
  ['packages/*', 'examples/*', 'scripts/*', 'docs', 'bench']
    .flatMap((pattern) => globSync(pattern, { cwd: checkout }))
    .filter((folder) => existsSync(join(checkout, folder, 'package.json')))
    .sort()
    .map((folder) => ({ folder, manifest: readJson<Manifest>(`${folder}/package.json`) }))

/** Those that are published. */
export const publicMembers = (): readonly Member[] => members().filter(({ manifest }) => manifest.private !== true)
