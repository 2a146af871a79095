import { existsSync, globSync } from 'node:fs'
import { join, resolve } from 'node:path'
import type { BenchFile, Case } from './case.ts'

const folder = resolve(import.meta.dirname, '..')

/** What there is to measure: `core`, `memory`, one per adapter. */
export const benchNames = (): readonly string[] =>
  globSync('*.ts', { cwd: folder })
    .map((file) => file.slice(0, -3))
    .filter((name) => name !== 'main')
    .sort()

/** Loads one. */
export const loadBench = async (name: string): Promise<BenchFile> => {
  if (!benchNames().includes(name) || !existsSync(join(folder, `${name}.ts`)))
    throw new Error(`there is no bench ${JSON.stringify(name)}; there are ${benchNames().join(', ')}`)
  return (await import(`../${name}.ts`)) as BenchFile
}

/** All that a file measures; a case is named by its place in here. */
export const allCases = ({ cases, peers = [] }: BenchFile): readonly Case[] => [...cases, ...peers]
