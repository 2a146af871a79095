import { type Clock, planOf } from '@posthorn/core/driver'
import { memory } from '@posthorn/memory'
import { seededDefects } from '@posthorn/testkit/conformance'
import { idempotent } from './idempotent.ts'
import { openKeeper } from './keeper.ts'

seededDefects(
  {
    name: 'memory',
    adapter: () => memory(),
    pass: (adapter, ms) => (planOf(adapter).clock as Clock & { advance(ms: number): Promise<void> }).advance(ms),
    parts: { openKeeper, inbox: idempotent },
    patienceMs: 2_000,
    quietMs: 30,
  },
  'patterns',
)
