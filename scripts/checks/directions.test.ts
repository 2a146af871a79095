// What the pages tell a reader to type, and where they send a reader, must be there.
import { execFileSync } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'
import { expect, test } from 'vitest'
import { checkout } from '../brokers/places.ts'

const text = (path: string): string => readFileSync(join(checkout, path), 'utf8')
const { scripts, devDependencies, devEngines } = JSON.parse(text('package.json')) as {
  readonly scripts: Readonly<Record<string, string>>
  readonly devDependencies: Readonly<Record<string, string>>
  readonly devEngines: { readonly packageManager: { readonly version: string } }
}

const pages = execFileSync('git', ['ls-files', '*.md'], { cwd: checkout, encoding: 'utf8' }).trim().split('\n')

/** Every `pnpm ...` of the pages, with the word behind it where there is one. */
const typed = pages.flatMap((page) =>
  [...text(page).matchAll(/[`\n](?:npx -y )?pnpm ([a-z][a-z:]*)(?: ([a-z][a-z0-9-]*)(?![a-z0-9.:/@]))?/g)].map(
    ([, command = '', name]) => ({ page, command, name }),
  ),
)
const pnpmItself = ['install', 'exec']
/** Where the file of a named run lies. */
const runs: Readonly<Record<string, string>> = {
  bench: 'bench',
  'test:faults': 'scripts/faults',
  'test:cluster': 'scripts/faults/cluster',
}

test('every `pnpm ...` of a page is a script of ours', () => {
  expect(typed.length).toBeGreaterThan(50)
  expect(typed.filter(({ command }) => scripts[command] === undefined && !pnpmItself.includes(command))).toEqual([])
})

test('every run that a page names has its file', () => {
  const named = typed.flatMap(({ page, command, name }) => {
    const folder = runs[command]
    return folder === undefined || name === undefined ? [] : [{ page, file: join(folder, `${name}.ts`) }]
  })
  expect(named.length).toBeGreaterThan(10)
  expect(named.filter(({ file }) => !existsSync(join(checkout, file)))).toEqual([])
})

test('every link of a page leads to a file or a folder', () => {
  const links = pages.flatMap((page) =>
    [...text(page).matchAll(/\]\((?!https?:)([^)#\s]+)[^)]*\)/g)].map(([, to = '']) => ({ page, to })),
  )
  expect(links.length).toBeGreaterThan(100)
  expect(links.filter(({ page, to }) => !existsSync(join(checkout, dirname(page), to)))).toEqual([])
})

test('every guide and every page of the reference is in the index of its folder', () => {
  for (const folder of ['docs/guide', 'docs/reference']) {
    const index = text(`${folder}/README.md`)
    const files = pages.filter((page) => dirname(page) === folder).map((page) => basename(page))
    expect(files.filter((file) => file !== 'README.md' && !index.includes(`](${file})`))).toEqual([])
  }
})

test('what a pipeline runs is the README’s command, by the pnpm that the workspace names', () => {
  const { version } = devEngines.packageManager
  expect(text('.ci/run').trim().split('\n').at(-1)).toBe(`exec npx -y pnpm@${version} test`)
  expect(devDependencies['pnpm']).toBe(version)
  for (const command of ['npx -y pnpm start', 'npx -y pnpm test']) expect(text('README.md')).toContain(`\n${command} `)
})
