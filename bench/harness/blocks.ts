import { fork } from 'node:child_process'
import { join } from 'node:path'
import type { Case, Sample } from './case.ts'
import type { Pairs } from './rows.ts'

/** Runs one block in a fresh process. */
const runBlock = (args: readonly string[]): Promise<Sample> =>
  new Promise((resolve, reject) => {
    const child = fork(join(import.meta.dirname, 'block.ts'), args, {
      execArgv: ['--conditions=posthorn:source', '--expose-gc'],
      env: { ...process.env, NODE_OPTIONS: '' },
      // What a block says must not get between the lines of `--json`.
      stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
    })
    let sample: Sample | undefined
    child.on('message', (message) => {
      sample = message as Sample
    })
    child.on('error', reject)
    child.on('close', (code) => {
      if (sample !== undefined && code === 0) resolve(sample)
      else
        reject(
          new Error(`the block ${args.join(' ')} ended with ${code} and ${sample === undefined ? 'no' : 'a'} sample`),
        )
    })
  })

/** Blocks A B A B ..., one process each, so that whatever else the machine does falls on both sides. */
export const runPairs = async (
  name: string,
  index: number,
  each: Case,
  rounds: number,
  scale: number,
): Promise<Pairs> => {
  const posthorn: Sample[] = []
  const reference: Sample[] = []
  for (let round = 0; round < rounds; round++) {
    posthorn.push(await runBlock([name, String(index), 'posthorn', String(scale)]))
    if (each.reference.block !== undefined)
      reference.push(await runBlock([name, String(index), 'reference', String(scale)]))
  }
  return { posthorn, reference }
}
