// `pnpm test:faults <name> [options]`: the long fault run of that name; each is a file beside this one and says its options.
import { spawn } from 'node:child_process'
import { existsSync, readdirSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

const [name = '', ...rest] = process.argv.slice(2)
const folder = new URL('./', import.meta.url)
const file = new URL(`${name}.ts`, folder)

if (!/^[a-z][a-z0-9]*$/.test(name) || name === 'main' || !existsSync(file)) {
  const known = readdirSync(folder)
    .filter((each) => /^[a-z][a-z0-9]*\.ts$/.test(each) && !['main.ts', 'random.ts'].includes(each))
    .map((each) => each.slice(0, -3))
  console.error(`there is no fault run ${JSON.stringify(name)}; there are ${known.join(', ')}`)
  process.exitCode = 1
} else {
  const flags = ['--conditions=posthorn:source', '--disable-warning=ExperimentalWarning']
  const child = spawn(process.execPath, [...flags, fileURLToPath(file), ...rest], { stdio: 'inherit' })
  child.once('exit', (code) => {
    process.exitCode = code ?? 1
  })
}
