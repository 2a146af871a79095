import { planOf } from '@posthorn/core/driver'
import { conformance } from '@posthorn/testkit/conformance'
import type { SteerableClock } from './clock.ts'
import { memory } from './index.ts'

conformance({
  name: 'memory',
  // The lease is long, so that a busy machine's real time matters nothing beside the time that is moved.
  adapter: () => memory(),
  pass: (adapter, ms) => (planOf(adapter).clock as SteerableClock).advance(ms),
  quietMs: 30,
  concurrency: 24,
})
