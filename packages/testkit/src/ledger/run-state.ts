import type { ConsumeExtension } from '@posthorn/core'
import type { Ledger } from './ledger.ts'

/** What is done with a message of a run beside sending it. */
export const courses = ['plain', 'fails once', 'rejected', 'delayed', 'cancelled', 'committed', 'rolled back'] as const
/** One of them. */
export type Course = (typeof courses)[number]

/** Groups of a run: one in order of its keys with two members, one without order, one that is shown a third of the messages. */
export const runGroups = ['billing', 'audit', 'paid'] as const
/** One of them. */
export type RunGroup = (typeof runGroups)[number]

/** A message of the run. */
export interface RunBody {
  readonly key: string
  readonly number: number
  readonly course: Course
}

/** A run under way. */
export interface Run {
  readonly ledger: Ledger
  readonly name: string
  readonly messages: number
  readonly keys: number
  readonly batch: number
  readonly courses: readonly Course[]
  readonly use: readonly ConsumeExtension[]
  /** What was acknowledged and is not done in a group. */
  readonly wanted: Set<string>
  /** What is done in a group. */
  readonly done: Set<string>
  /** When the last that must not come would come. */
  lastDue: number
  /** Waits a little. */
  tick(): Promise<void>
}

/** Names a message in a group. */
export function place(group: string, id: string): string {
  return `${group}/${id}`
}
