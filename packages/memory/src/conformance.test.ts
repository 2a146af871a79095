import { planOf } from '@posthorn/core/driver'
import { conformance } from '@posthorn/testkit/conformance'
import type { SteerableClock } from './clock.ts'
import { memory } from './index.ts'

conformance({
  name: 'memory',
  adapter: () => memory({ leaseMs: 2_000 }),
  pass: (adapter, ms) => (planOf(adapter).clock as SteerableClock).advance(ms),
  quietMs: 30,
  concurrency: 24,
})
