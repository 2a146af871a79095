// The picture of ARCHITECTURE.md ("Floors") as data: who may lean on whom. Changing it is a decision record.
import type { Manifest, Member } from '../workspace.ts'
import type { Check } from './check.ts'

interface Room {
  readonly floor: 0 | 1 | 2 | 3
  /** Our packages that it must have at run time. */
  readonly leansOn: readonly string[]
  /** Our packages that it loads where they are installed. */
  readonly loads?: readonly string[]
  /** Foreign packages that its user brings; `?` marks those that are optional. */
  readonly brings?: readonly string[]
}

const adapters = ['@posthorn/memory', '@posthorn/sqlite', '@posthorn/rabbitmq', '@posthorn/kafka']

/** Each published package and its place. */
export const floorPlan: Readonly<Record<string, Room>> = {
  '@posthorn/core': { floor: 0, leansOn: [] },
  '@posthorn/memory': { floor: 1, leansOn: ['@posthorn/core'] },
  '@posthorn/sqlite': { floor: 1, leansOn: ['@posthorn/core'] },
  '@posthorn/rabbitmq': { floor: 1, leansOn: ['@posthorn/core'], brings: ['amqplib'] },
  '@posthorn/kafka': { floor: 1, leansOn: ['@posthorn/core'], brings: ['kafkajs', '@platformatic/kafka?'] },
  '@posthorn/reliability': { floor: 2, leansOn: ['@posthorn/core'] },
  '@posthorn/testkit': { floor: 2, leansOn: ['@posthorn/core', '@posthorn/memory'], brings: ['vitest?'] },
  '@posthorn/inversify': { floor: 3, leansOn: ['@posthorn/core'], brings: ['inversify'] },
  posthorn: { floor: 3, leansOn: ['@posthorn/core', '@posthorn/reliability'], loads: adapters },
}

/** What in these packages is not as the picture has it. */
export const againstFloorPlan = (
  packages: readonly Member[],
  plan: Readonly<Record<string, Room>> = floorPlan,
): readonly string[] => {
  const found = new Set(packages.map(({ manifest }) => manifest.name))
  const missing = Object.keys(plan).filter((name) => !found.has(name))
  return [
    ...missing.map((name) => `${name} is in the plan and not in packages/`),
    ...packages.flatMap(({ folder, manifest }) => {
      const room = plan[manifest.name]
      return room === undefined
        ? [`${folder}: ${manifest.name} has no place in the plan`]
        : [...againstRoom(manifest, room), ...againstFloors(manifest, room, plan)].map((each) => `${folder}: ${each}`)
    }),
  ]
}

const againstRoom = (manifest: Manifest, room: Room): readonly string[] => {
  const peers = Object.keys(manifest.peerDependencies ?? {}).map((name) =>
    manifest.peerDependenciesMeta?.[name]?.optional === true ? `${name}?` : name,
  )
  const loads = (room.loads ?? []).map((name) => `${name}?`)
  return [
    ...difference('dependencies', Object.keys(manifest.dependencies ?? {}), room.leansOn),
    ...difference('optionalDependencies', Object.keys(manifest.optionalDependencies ?? {}), []),
    ...difference('peerDependencies (? = optional)', peers, [...loads, ...(room.brings ?? [])]),
  ]
}

const difference = (field: string, is: readonly string[], wanted: readonly string[]): readonly string[] => [
  ...is.filter((name) => !wanted.includes(name)).map((name) => `${field} has ${name}, which the plan does not allow`),
  ...wanted.filter((name) => !is.includes(name)).map((name) => `${field} lacks ${name}`),
]

/** The plan itself: one leans only downwards, an adapter on core alone, nobody on what is for tests. */
const againstFloors = (
  { name, devDependencies = {} }: Manifest,
  room: Room,
  plan: Readonly<Record<string, Room>>,
): readonly string[] => [
  ...[...room.leansOn, ...(room.loads ?? [])].flatMap((below) =>
    (plan[below]?.floor ?? Number.POSITIVE_INFINITY) < room.floor ? [] : [`the plan lets it lean upwards, on ${below}`],
  ),
  ...(room.leansOn.includes('@posthorn/testkit') ? ['testkit is for devDependencies'] : []),
  ...Object.keys(devDependencies)
    .filter((each) => plan[each]?.floor === 3 && room.floor < 3)
    .map((each) => `devDependencies has ${each} from above ${name}`),
]

/** Every package.json held against the picture. */
export const floors = (packages: () => readonly Member[]): Check => ({
  name: 'floor plan',
  repair:
    'take the dependency away; if the picture itself must change, that is a decision record and scripts/checks/floors.ts',
  run: () => againstFloorPlan(packages().filter(({ folder }) => folder.startsWith('packages/'))),
})
