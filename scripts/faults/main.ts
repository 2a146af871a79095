// `pnpm test:faults <name> [options]`, `pnpm test:cluster <name> [options]`: the long run of that name; each is a file here, or in
// `cluster`, and says its options.
import { spawn } from 'node:child_process'
import { existsSync, readdirSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

const [kind = '', name = '', ...rest] = process.argv.slice(2)
const folder = new URL(kind === 'cluster' ? './cluster/' : './', import.meta.url)
const file = new URL(`${name}.ts`, folder)

if (!/^[a-z][a-z0-9]*$/.test(name) || name === 'main' || !existsSync(file)) {
  const known = readdirSync(folder)
    .filter((each) => /^[a-z][a-z0-9]*\.ts$/.test(each) && !['main.ts', 'random.ts'].includes(each))
    .map((each) => each.slice(0, -3))
  console.error(`there is no run ${JSON.stringify(name)}; there are ${known.join(', ')}`)
  process.exitCode = 1
} else {
  const flags = ['--conditions=posthorn:source', '--disable-warning=ExperimentalWarning']
  const child = spawn(process.execPath, [...flags, fileURLToPath(file), ...rest], { stdio: 'inherit' })
  child.once('exit', (code) => {
    process.exitCode = code ?? 1
  })
}
