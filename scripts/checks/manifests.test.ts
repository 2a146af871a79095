import { expect, test } from 'vitest'
import type { Manifest } from '../workspace.ts'
import { againstHouse, publishedExports } from './manifests.ts'

const exports = { '.': { 'posthorn:source': './src/index.ts', types: './dist/index.d.ts', default: './dist/index.js' } }
const good: Manifest = {
  name: '@posthorn/x',
  description: 'X',
  license: 'Apache-2.0',
  type: 'module',
  sideEffects: false,
  engines: { node: '>=22.22' },
  files: ['dist', '!dist/**/*.map', '!dist/.tsbuildinfo'],
  exports,
  publishConfig: { access: 'public', exports: { '.': { types: './dist/index.d.ts', default: './dist/index.js' } } },
  scripts: { build: 'tsc -b' },
}

test('a package.json of the house is fine', () => {
  expect(againstHouse(good)).toEqual([])
})

test('the source condition does not go out', () => {
  expect(publishedExports(exports)).toEqual(good.publishConfig?.exports)
  expect(againstHouse({ ...good, publishConfig: { access: 'public', exports } })).toEqual([
    'publishConfig.exports must be {".":{"types":"./dist/index.d.ts","default":"./dist/index.js"}}',
  ])
})

test('an export that is not read from source is named', () => {
  const built = { '.': { types: './dist/index.d.ts', default: './dist/index.js' } }
  expect(againstHouse({ ...good, exports: built })).toEqual([
    'exports["."] must begin with the condition posthorn:source',
  ])
})

test.each([
  [{ engines: { node: '>=20' } }, 'engines.node must be ">=22.22"'],
  [{ license: 'MIT' }, 'license must be "Apache-2.0"'],
  [{ description: '' }, 'description is missing'],
  [{ files: ['dist'] }, 'files must be ["dist","!dist/**/*.map","!dist/.tsbuildinfo"]'],
])('%j is named', (change, finding) => {
  expect(againstHouse({ ...good, ...change })).toEqual([finding])
})

test('a file that is exported as it is goes out as it is', () => {
  const schema = { './x.schema.json': './x.schema.json' }
  const having = {
    ...good,
    files: ['dist', '!dist/**/*.map', '!dist/.tsbuildinfo', 'x.schema.json'],
    exports: { ...exports, ...schema },
    publishConfig: { access: 'public', exports: { ...good.publishConfig?.exports, ...schema } },
  }
  expect(againstHouse(having)).toEqual([])
  expect(againstHouse({ ...having, files: good.files ?? [] })).toEqual([
    'files must be ["dist","!dist/**/*.map","!dist/.tsbuildinfo","x.schema.json"]',
  ])
})
