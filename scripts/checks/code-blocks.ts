// Every code block marked `ts` in the docs is compiled, each as a module of its own, in the strictness of the sources.
import { globSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { checkout } from '../brokers/places.ts'
import { command } from '../command.ts'
import type { Check } from './check.ts'

/** A module made of a page. */
export interface Block {
  /** Where its first line stands in the page, from 1. */
  readonly line: number
  readonly code: string
}

/** What a page holds. */
export interface Extracted {
  readonly blocks: readonly Block[]
  readonly findings: readonly string[]
}

/**
 * The blocks of a page. ```` ```ts continued ```` goes on with the block before; ```` ```ts no-check <reason> ```` is left out. Lines keep their
 * numbers, so that what the compiler says fits the page.
 */
export const blocksOf = (page: string): Extracted => {
  const blocks: Block[] = []
  const findings: string[] = []
  const fence = /^[ ]*```(?:ts|typescript|tsx)\b[ \t]*(.*)\n([\s\S]*?)^[ ]*```[ \t]*$/gm
  for (const match of page.matchAll(fence)) {
    const [, words = '', code = ''] = match
    const line = page.slice(0, match.index).split('\n').length + 1
    const last = blocks.at(-1)
    if (words.startsWith('no-check')) {
      if (words.slice('no-check'.length).trim() === '')
        findings.push(`line ${line - 1}: no-check without a reason; write it behind: ts no-check <reason>`)
    } else if (words.trim() === 'continued' && last !== undefined) {
      const gap = line - last.line - last.code.split('\n').length + 1
      blocks[blocks.length - 1] = { line: last.line, code: last.code + '\n'.repeat(gap) + code }
    } else if (words.trim() === '') blocks.push({ line, code })
    else findings.push(`line ${line - 1}: \`ts ${words}\` is neither continued nor no-check <reason>`)
  }
  return { blocks, findings }
}

const folder = join(checkout, 'docs/.blocks')

const config = {
  extends: '../../tsconfig.base.json',
  compilerOptions: { noEmit: true, customConditions: ['posthorn:source'], declaration: false, declarationMap: false },
  include: ['*.ts'],
}

const pages = (): readonly string[] =>
  ['*.md', 'docs/**/*.md', 'packages/*/README.md', 'examples/*/README.md']
    .flatMap((pattern) => globSync(pattern, { cwd: checkout, exclude: (name) => name === 'node_modules' }))
    .filter((page) => page !== 'CHANGELOG.md')
    .sort()

const extract = (page: string): readonly string[] => {
  const { blocks, findings } = blocksOf(readFileSync(join(checkout, page), 'utf8'))
  for (const { line, code } of blocks) {
    const name = `${page.replaceAll('/', '__')}.${line}.ts`
    writeFileSync(join(folder, name), `${'\n'.repeat(line - 1)}${code}export {}\n`)
  }
  return findings.map((finding) => `${page}: ${finding}`)
}

/** The page and the line of what the compiler says of a block. */
const ofPage = (said: string): string =>
  said.replace(
    /^(?:.*\/)?([^/]+)\.\d+\.ts\((\d+),\d+\)/,
    (_, name: string, line: string) => `${name.replaceAll('__', '/')}:${line}`,
  )

/** The code of README, ARCHITECTURE, CONTRIBUTING, docs and of each package's README. */
export const codeBlocks: Check = {
  name: 'code in the docs',
  repair:
    'mend the block in the page, or mark it ```ts no-check <reason>; ```ts continued goes on with the block before',
  run: async () => {
    rmSync(folder, { recursive: true, force: true })
    mkdirSync(folder, { recursive: true })
    const findings = pages().flatMap(extract)
    writeFileSync(join(folder, 'tsconfig.json'), JSON.stringify(config))
    const { code, output } = await command('tsc', ['-p', folder, '--pretty', 'false'])
    if (code === 0) return findings
    // What is wrong in the sources themselves is `types`' to say.
    const said = output.split('\n').filter((each) => /^(?:.*\/)?\S+\.md\.\d+\.ts\(/.test(each))
    return [...findings, ...said.map(ofPage)]
  },
}
