import type { Traits } from './seam.ts'

/** What a broker that is a store does itself: it changes a row where others need a way round. The adapter says the rest. */
export const storeTraits = {
  history: true,
  order: 'key',
  delay: 'any',
  maxDelayMs: Number.MAX_SAFE_INTEGER,
  nackDelay: 'ordered',
  cancel: true,
  priority: true,
  pattern: true,
  topics: true,
  filter: true,
  atomic: true,
  effects: true,
  transactional: true,
  partialFailure: false,
  holdMs: undefined,
  counts: true,
  maxBatch: 1_000,
  maxBytes: 16_777_216,
  window: undefined,
} as const satisfies Partial<Traits>
