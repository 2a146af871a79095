import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { checkout } from '../brokers/places.ts'
import type { Check } from '../checks/check.ts'
import { command } from '../command.ts'
import type { Member } from '../workspace.ts'
import { type Installer, install, writeConsumer } from './consumer.ts'
import { lowestNode, lowestVersion } from './lowest-node.ts'

const repair =
  'what runs from source and not from the tarballs is mostly a file, an export or a dependency that package.json does not name'

const hello = (folder: string, name: string, program: () => Promise<string>, ...options: readonly string[]): Check => ({
  name: `hello, ${name}`,
  repair,
  run: async () => {
    // What the workspace and the caller have set must not leak in.
    const env = { NODE_OPTIONS: '', NODE_ENV: 'test', BROKER_URL: undefined }
    const node = await program()
    for (const script of ['imports.mjs', 'readme.ts', 'main.ts']) {
      const { code, output } = await command(node, [...options, script], { cwd: folder, env })
      if (code !== 0) return [`${script} ended with ${code}:\n${output}`]
    }
    return []
  },
})

const installed = (folder: string, by: Installer, packages: readonly Member[]): Check => ({
  name: `install by ${by}`,
  repair: 'see what the installer says; what our packages need must be in a registry or among the tarballs',
  run: async () => {
    writeConsumer(folder, packages)
    await install(folder, by)
    return []
  },
})

/** The consumer's compiler, without our condition, over the example and the clients; what our declarations import is looked at, too. */
const compiled = (folder: string): Check => ({
  name: "consumer's types",
  repair,
  run: async () => {
    const options = [
      '--noEmit',
      '--strict',
      '--exactOptionalPropertyTypes',
      '--target',
      'es2024',
      '--module',
      'nodenext',
    ]
    const roots = ['--types', 'node', '--typeRoots', join(checkout, 'node_modules/@types')]
    const { code, output } = await command(
      'tsc',
      [...options, ...roots, '--pretty', 'false', 'readme.ts', 'main.ts', 'clients.ts'],
      {
        cwd: folder,
      },
    )
    return code === 0 ? [] : [output]
  },
})

/** The packed packages, installed outside the checkout by npm and by pnpm without hoisting, on this Node and on the lowest. */
export const smoke = (
  packages: readonly Member[],
): { readonly checks: readonly Check[]; readonly remove: () => void } => {
  const folder = mkdtempSync(join(tmpdir(), 'posthorn-packed-'))
  const byNpm = join(folder, 'npm')
  const byPnpm = join(folder, 'pnpm')
  const current = async (): Promise<string> => process.execPath
  return {
    checks: [
      installed(byNpm, 'npm', packages),
      // With our source's condition set, as a consumer might by mistake: it must not lead anywhere.
      hello(byNpm, `npm, Node ${process.versions.node}`, current, '--conditions=posthorn:source'),
      hello(byNpm, `npm, Node ${lowestVersion}`, lowestNode),
      compiled(byNpm),
      installed(byPnpm, 'pnpm', packages),
      hello(byPnpm, `pnpm, Node ${process.versions.node}`, current),
      hello(byPnpm, `pnpm, Node ${lowestVersion}`, lowestNode),
    ],
    remove: () => rmSync(folder, { recursive: true, force: true }),
  }
}
