import { expect, test } from 'vitest'
import type { Manifest, Member } from '../workspace.ts'
import { againstFloorPlan, floorPlan } from './floors.ts'

const plan = {
  '@posthorn/core': { floor: 0, leansOn: [] },
  '@posthorn/memory': { floor: 1, leansOn: ['@posthorn/core'] },
  '@posthorn/kafka': { floor: 1, leansOn: ['@posthorn/core'], brings: ['kafkajs', 'other?'] },
} as const

const member = (manifest: Manifest): Member => ({ folder: `packages/${manifest.name.split('/')[1]}`, manifest })
const core = member({ name: '@posthorn/core' })
const memory = member({ name: '@posthorn/memory', dependencies: { '@posthorn/core': 'workspace:*' } })
const kafka = member({
  name: '@posthorn/kafka',
  dependencies: { '@posthorn/core': 'workspace:*' },
  peerDependencies: { kafkajs: '*', other: '*' },
  peerDependenciesMeta: { other: { optional: true } },
})
const found = (...packages: readonly Member[]): readonly string[] => againstFloorPlan(packages, plan)
const having = ({ manifest }: Member, more: Partial<Manifest>): Member => member({ ...manifest, ...more })

test('packages as the plan has them are fine', () => {
  expect(found(core, memory, kafka)).toEqual([])
})

test('core has no dependency at all', () => {
  expect(found(having(core, { dependencies: { ms: '1' } }), memory, kafka)).toEqual([
    'packages/core: dependencies has ms, which the plan does not allow',
  ])
})

test('an adapter does not lean on its sibling', () => {
  const leaning = having(kafka, { dependencies: { '@posthorn/core': '*', '@posthorn/memory': '*' } })
  expect(found(core, memory, leaning)).toEqual([
    'packages/kafka: dependencies has @posthorn/memory, which the plan does not allow',
  ])
})

test('a client that must be optional is, and one that must be there is named', () => {
  const demanding = having(kafka, { peerDependencies: { other: '*' }, peerDependenciesMeta: {} })
  expect(found(core, memory, demanding)).toEqual([
    'packages/kafka: peerDependencies (? = optional) has other, which the plan does not allow',
    'packages/kafka: peerDependencies (? = optional) lacks kafkajs',
    'packages/kafka: peerDependencies (? = optional) lacks other?',
  ])
})

test('a package that the plan does not know, and one that is not there, are named', () => {
  expect(found(core, memory, member({ name: '@posthorn/new' }))).toEqual([
    '@posthorn/kafka is in the plan and not in packages/',
    'packages/new: @posthorn/new has no place in the plan',
  ])
})

test('the plan itself leans downwards only', () => {
  const upwards = { ...plan, '@posthorn/core': { floor: 0, leansOn: ['@posthorn/memory'] } } as const
  const leaning = having(core, { dependencies: { '@posthorn/memory': '*' } })
  expect(againstFloorPlan([leaning, memory, kafka], upwards)).toEqual([
    'packages/core: the plan lets it lean upwards, on @posthorn/memory',
  ])
  expect(Object.values(floorPlan).map(({ floor }) => floor)).toContain(3)
})
