// Somebody else's project outside the checkout, which knows us by our tarballs alone.
import { copyFileSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { checkout } from '../brokers/places.ts'
import { pnpm, succeeding } from '../command.ts'
import type { Member } from '../workspace.ts'
import { tarballOf } from './tarballs.ts'

/** Who installs. */
export type Installer = 'npm' | 'pnpm'

/** Every module of ours that can be loaded without a further package. */
const importsOf = (packages: readonly Member[]): string =>
  packages
    .flatMap(({ manifest: { name, exports = {} } }) =>
      Object.entries(exports)
        .filter(([, target]) => typeof target !== 'string')
        .map(([path]) => name + path.slice(1)),
    )
    // The suite describes tests where it is imported, so it needs vitest around it.
    .filter((specifier) => specifier !== '@posthorn/testkit/conformance')
    .map((specifier) => `await import('${specifier}')\n`)
    .join('')

/** The first program that README shows, which goes on until it is ended: here it ends. */
const firstProgram = (): string => {
  const [, block] = /^```ts\n(.*?)^```$/ms.exec(readFileSync(join(checkout, 'README.md'), 'utf8')) ?? []
  if (block === undefined) throw new Error('README.md has no block of ts')
  return `${block}\nawait broker.close()\n`
}

/** The clients behind the adapters, as a compiler sees them that finds no optional one: typed all the same. */
const clients = `import { kafka } from '@posthorn/kafka'
import { rabbitmq } from '@posthorn/rabbitmq'
import { connect } from 'posthorn'

export const onKafka = await connect(kafka({ brokers: 'localhost:9092' }))
await onKafka.driver.client.admin().connect()
// @ts-expect-error there is no such thing
onKafka.driver.client.nothing()
// @ts-expect-error there is no such client
kafka({ brokers: 'localhost:9092', client: 'kafkjs' })

export const onRabbit = await connect(rabbitmq({ url: 'amqp://localhost' }))
await onRabbit.driver.client.sending?.createChannel()
// @ts-expect-error there is no such thing
onRabbit.driver.client.sending?.nothing()
`

/** Writes a project in `folder` that has every package from its tarball, with README's first program and the hello example. */
export const writeConsumer = (folder: string, packages: readonly Member[]): void => {
  const tarballs = Object.fromEntries(packages.map((member) => [member.manifest.name, `file:${tarballOf(member)}`]))
  // What our packages need of each other is not in a registry yet.
  const npmOverrides = Object.fromEntries(Object.keys(tarballs).map((name) => [name, `$${name}`]))
  mkdirSync(folder, { recursive: true })
  writeFileSync(
    join(folder, 'package.json'),
    JSON.stringify({ private: true, type: 'module', dependencies: tarballs, overrides: npmOverrides }),
  )
  const settings = { hoist: false, nodeLinker: 'isolated', overrides: tarballs }
  writeFileSync(join(folder, 'pnpm-workspace.yaml'), JSON.stringify(settings))
  writeFileSync(join(folder, 'imports.mjs'), importsOf(packages))
  writeFileSync(join(folder, 'readme.ts'), firstProgram())
  writeFileSync(join(folder, 'clients.ts'), clients)
  copyFileSync(join(checkout, 'examples/hello/main.ts'), join(folder, 'main.ts'))
}

/** Installs a project that `writeConsumer` wrote. */
export const install = async (folder: string, by: Installer): Promise<void> => {
  if (by === 'npm') await succeeding('npm', ['install', '--no-audit', '--no-fund', '--ignore-scripts'], { cwd: folder })
  else await pnpm(['install', '--ignore-scripts', '--no-frozen-lockfile'], { cwd: folder })
}
