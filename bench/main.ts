// `pnpm bench <name> [id...] [--peers] [--json] [--rounds=7] [--scale=1]`: rows of one file of this folder beside what they are compared with.
import { availableParallelism, cpus, totalmem } from 'node:os'
import { parseArgs } from 'node:util'
import { runPairs } from './harness/blocks.ts'
import { allCases, benchNames, loadBench } from './harness/files.ts'
import { costsOf, heading, lineOf, type Row, rowsOf } from './harness/rows.ts'

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    json: { type: 'boolean', default: false },
    peers: { type: 'boolean', default: false },
    rounds: { type: 'string', default: '7' },
    scale: { type: 'string', default: '1' },
  },
})
const [name, ...ids] = positionals
const rounds = Number(values.rounds)
const scale = Number(values.scale)
if (name === undefined || !(Number.isInteger(rounds) && rounds >= 1) || !(scale > 0)) {
  console.error(
    `pnpm bench <name> [id...] [--peers] [--json] [--rounds=7] [--scale=1], where name is one of ${benchNames().join(', ')}`,
  )
  process.exit(2)
}

const machine = `${availableParallelism()} cores, ${cpus()[0]?.model.trim() ?? 'unknown'}, ${(totalmem() / 2 ** 30).toFixed(0)} GiB, ${process.platform}, Node ${process.versions.node}`
const bench = await loadBench(name)
const { prepare } = bench
const cases = allCases(bench)
const wanted = cases
  .map((each, index) => ({ each, index }))
  .filter(({ index }) => index >= bench.cases.length === values.peers)
  .filter(({ each }) => ids.length === 0 || each.goals.some(({ id }) => ids.includes(id)))
if (wanted.length === 0)
  throw new Error(
    `${name} has no row ${ids.join(', ')}; it has ${cases.flatMap(({ goals }) => goals.map(({ id }) => id)).join(', ')}`,
  )

const say = values.json ? (): void => {} : (line: string): void => console.log(line)
const undo = await prepare?.()
const rows: Row[] = []
const costs: string[] = []
try {
  say(`${name}: ${machine}; median (min..max) of ${rounds}\n\n${heading}`)
  // Each row as it is made: one that fails takes nothing of those before it.
  for (const { each, index } of wanted) {
    const pairs = await runPairs(name, index, each, Math.min(rounds, each.rounds ?? rounds), scale)
    for (const row of rowsOf(each, pairs)) {
      rows.push(row)
      say(lineOf(row))
    }
    costs.push(costsOf(each, pairs))
  }
} finally {
  await undo?.()
}
say(`\n${costs.join('\n')}`)
if (values.json) console.log(JSON.stringify({ name, machine, rows }))
