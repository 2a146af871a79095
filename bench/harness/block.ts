// One side of one case, once, in this process: `block.ts <file> <case> <posthorn|reference> <scale>`. The sample goes to the parent.
import { allCases, loadBench } from './files.ts'

const [name = '', index = '', side = '', scale = '1'] = process.argv.slice(2)
const each = allCases(await loadBench(name))[Number(index)]
const block = side === 'posthorn' ? each?.posthorn : each?.reference.block
if (block === undefined) throw new Error(`${name} has no case ${index} with a side ${side}`)
const sample = await block(Number(scale))
process.send?.(sample, () => process.exit(0))
