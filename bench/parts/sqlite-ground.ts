// What the parts of the SQLite bench stand on: a file of its own for each block, and the sizes that both sides share.
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

/** Of messages that are received at once. */
export const batch = 500

/** A file of its own in a folder that goes with the block. */
export async function inFolder<R>(work: (path: string) => Promise<R>): Promise<R> {
  const folder = mkdtempSync(join(tmpdir(), 'posthorn-bench-'))
  try {
    return await work(join(folder, 'bench.db'))
  } finally {
    rmSync(folder, { recursive: true })
  }
}
