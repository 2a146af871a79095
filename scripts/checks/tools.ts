import { command, pnpm } from '../command.ts'
import type { Check } from './check.ts'

const tool = (name: string, repair: string, program: string, ...args: readonly string[]): Check => ({
  name,
  repair,
  run: async () => {
    const { code, output } = await command(program, args)
    return code === 0 ? [] : [output]
  },
})

/** The compiler over everything, from source, with nothing built. */
export const types = tool(
  'types',
  'mend the types; `pnpm types` repeats this alone',
  'tsc',
  '--noEmit',
  '--pretty',
  'false',
)

/** Format, lint and import cycles. */
export const lint = tool(
  'lint',
  '`pnpm format` mends the format and the safe rest',
  'biome',
  'check',
  '--max-diagnostics=50',
  '--error-on-warnings',
  '--reporter=github',
)

/** Files, exports and dependencies that nobody uses, and imports that no package.json names. */
export const unused = tool(
  'unused',
  'delete what nobody uses, or name what is used in package.json; knip.jsonc says where to look',
  'knip',
  '--no-progress',
  '--no-config-hints',
)

/** Every package to its dist. */
export const build: Check = {
  name: 'build',
  repair: '`pnpm build` repeats this alone',
  // Through pnpm, because turbo looks for it on the PATH.
  run: async () => {
    await pnpm(['run', 'build', '--output-logs=errors-only'], { env: { TURBO_TELEMETRY_DISABLED: '1' } })
    return []
  },
}
