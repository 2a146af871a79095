import type { Capabilities } from '@posthorn/core'
import type { Traits } from '@posthorn/core/driver'
import type { CapabilityRow } from '../capability-table.ts'

/** What an adapter claims, in the words of the capability table. */
export function claimsOf(capabilities: Capabilities, traits: Traits): CapabilityRow {
  return {
    history: traits.history,
    order: traits.order,
    delay: traits.delay,
    nackDelay: traits.nackDelay,
    cancel: traits.cancel,
    priority: traits.priority,
    pattern: traits.pattern,
    topics: traits.topics,
    filter: traits.filter,
    atomic: traits.atomic,
    effects: traits.effects,
    transactional: traits.transactional,
    partialFailure: traits.partialFailure,
    lease: traits.leaseMs !== undefined,
    hold: traits.holdMs !== undefined,
    counts: traits.counts,
    replay: capabilities.replay,
    query: capabilities.query,
  }
}

/** One line per cell that differs. */
export function differences(table: CapabilityRow, claimed: CapabilityRow): readonly string[] {
  return (Object.keys(table) as (keyof CapabilityRow)[])
    .filter((cell) => table[cell] !== claimed[cell])
    .map((cell) => `${cell}: the table says ${table[cell]}, the adapter ${claimed[cell]}`)
}
