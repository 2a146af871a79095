import { createHash } from 'node:crypto'
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { needTools, run } from './host-tools.ts'
import { locked } from './lock.ts'
import { cacheFolder } from './places.ts'

/** Jars with all that they depend on, by exact version. */
export interface JarSet {
  readonly name: string
  readonly dependencies: readonly {
    /** `group:artifact:version` */
    readonly at: string
    /** `group:artifact` of what is not wanted of its dependencies. */
    readonly without?: readonly string[]
  }[]
  /** The file with the SHA-256 of every jar, kept in git: what was tried is what is run. */
  readonly sums: string
  readonly orSet: string
}

/** Oldest Java that the brokers run on. */
const javaMajor = 17

/** Sees to a Java that is new enough. */
const needJava = async (orSet: string): Promise<void> => {
  await needTools([{ file: 'java', probe: ['-version'], debian: 'default-jre-headless' }], orSet)
  const said = await run('java', ['-version'])
  const major = Number(/version "(\d+)/.exec(said)?.[1])
  if (!(major >= javaMajor)) {
    throw new Error(`java is version ${major}, ${javaMajor} or newer is needed: put one first in PATH, or set ${orSet}`)
  }
}

/** Brings a set of jars into a folder of the cache, once per machine, and checks each against its recorded sum. */
export const mavenJars = async (set: JarSet): Promise<string> => {
  await needJava(set.orSet)
  const sums = readFileSync(set.sums, 'utf8')
  const key = createHash('sha256').update(sums).digest('hex').slice(0, 8)
  const folder = join(cacheFolder(), 'maven', `${set.name}-${key}`)
  if (existsSync(folder)) return folder
  await needTools([{ file: 'mvn', probe: ['--version'], debian: 'maven' }], set.orSet)
  // One lock for all sets: Maven's repository is not made for two writers.
  return locked(join(cacheFolder(), 'maven', 'repository.lock'), async () => {
    if (existsSync(folder)) return folder
    process.stderr.write(`downloading ${set.name} to ${folder}\n`)
    const partial = `${folder}.partial`
    rmSync(partial, { recursive: true, force: true })
    mkdirSync(partial, { recursive: true })
    await copyDependencies(set, partial)
    check(partial, sums)
    renameSync(partial, folder)
    return folder
  })
}

const plugin = 'org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy-dependencies'

const copyDependencies = async ({ name, dependencies }: JarSet, folder: string): Promise<void> => {
  const project = `${folder}.project`
  mkdirSync(project, { recursive: true })
  writeFileSync(join(project, 'pom.xml'), pom(name, dependencies))
  // A repository of our own: the home folder may not be writable, and the user's is none of our business.
  const repository = join(cacheFolder(), 'maven', 'repository')
  const options = ['-DincludeScope=runtime', `-DoutputDirectory=${folder}`, `-Dmaven.repo.local=${repository}`]
  await run('mvn', ['-q', '-B', '--strict-checksums', plugin, ...options], { cwd: project })
  rmSync(project, { recursive: true, force: true })
}

const coordinates = (at: string): string => {
  const [group, artifact, version] = at.split(':')
  return `<groupId>${group}</groupId><artifactId>${artifact}</artifactId>${version ? `<version>${version}</version>` : ''}`
}

const pom = (name: string, dependencies: JarSet['dependencies']): string => {
  const exclusions = (without: readonly string[] = []) =>
    without.map((at) => `<exclusion>${coordinates(at)}</exclusion>`).join('')
  return `<project xmlns="http://maven.apache.org/POM/4.0.0">
<modelVersion>4.0.0</modelVersion>${coordinates(`posthorn:${name}:1`)}<packaging>pom</packaging>
<dependencies>
${dependencies.map(({ at, without }) => `<dependency>${coordinates(at)}<exclusions>${exclusions(without)}</exclusions></dependency>`).join('\n')}
</dependencies>
</project>
`
}

const check = (folder: string, sums: string): void => {
  const had = readdirSync(folder)
    .sort()
    .map(
      (file) =>
        `${createHash('sha256')
          .update(readFileSync(join(folder, file)))
          .digest('hex')}  ${file}\n`,
    )
    .join('')
  if (had === sums) return
  writeFileSync(`${folder}.sums`, had)
  throw new Error(
    `the jars in ${folder} are not those that were recorded: compare ${folder}.sums, then delete that folder`,
  )
}
