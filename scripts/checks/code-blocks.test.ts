import { expect, test } from 'vitest'
import { blocksOf } from './code-blocks.ts'

const fence = '```'

test('a block of ts is a module that knows its line', () => {
  const page = `# Title\n\n${fence}ts\nconst a = 1\n${fence}\n\n${fence}sh\nnpm x\n${fence}\n`
  expect(blocksOf(page)).toEqual({ blocks: [{ line: 4, code: 'const a = 1\n' }], findings: [] })
})

test('a continued block goes on with the one before, at its own lines', () => {
  const page = `${fence}ts\nconst a = 1\n${fence}\ntext\n${fence}ts continued\nuse(a)\n${fence}\n`
  const { blocks } = blocksOf(page)
  expect(blocks).toHaveLength(1)
  const first = blocks[0]
  expect(first?.line).toBe(2)
  // Line 6 of the page is the fifth of the block that begins in line 2.
  expect(first?.code.split('\n')[4]).toBe('use(a)')
})

test('no-check wants a reason', () => {
  const bare = blocksOf(`${fence}ts no-check\nx y z\n${fence}\n`)
  expect(bare.blocks).toEqual([])
  expect(bare.findings).toEqual(['line 1: no-check without a reason; write it behind: ts no-check <reason>'])
  expect(blocksOf(`${fence}ts no-check a sketch\nx y z\n${fence}\n`)).toEqual({ blocks: [], findings: [] })
})

test('a word that means nothing is named', () => {
  expect(blocksOf(`${fence}ts nocheck\nx\n${fence}\n`).findings).toEqual([
    'line 1: `ts nocheck` is neither continued nor no-check <reason>',
  ])
})

test('a block within a list is one, too', () => {
  expect(blocksOf(`1. First:\n\n   ${fence}ts\n   x()\n   ${fence}\n`).blocks).toEqual([{ line: 4, code: '   x()\n' }])
})
