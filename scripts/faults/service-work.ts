import { topic } from '../../packages/posthorn/src/index.ts'

/** What a message of a fault run is for. */
export interface WorkBody {
  readonly n: number
  readonly course: 'plain' | 'fails once' | 'rejected'
}

/** The groups of a fault run: one in order of its keys, one without order. */
export const workGroups = ['billing', 'audit'] as const

/** The topic of a fault run; each run has a namespace of its own. */
export const work = topic<WorkBody>('work', {
  partitions: 8,
  groups: [
    { name: 'billing', order: 'key' },
    { name: 'audit', order: 'none' },
  ],
})
