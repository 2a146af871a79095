import { spawnSync } from 'node:child_process'

const run = spawnSync('vitest', ['run', ...process.argv.slice(2).map((name) => `packages/${name}/`)], {
  stdio: 'inherit',
})
process.exitCode = run.status ?? 1
