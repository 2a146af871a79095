import { type Clock, planOf } from '@posthorn/core/driver'
import { memory } from '@posthorn/memory'
import { conformance } from '@posthorn/testkit/conformance'
import { idempotent } from './idempotent.ts'
import { openKeeper } from './keeper.ts'
import { slots } from './slots.ts'

conformance({
  name: 'memory',
  adapter: () => memory(),
  pass: (adapter, ms) => (planOf(adapter).clock as Clock & { advance(ms: number): Promise<void> }).advance(ms),
  parts: { openKeeper, inbox: idempotent, slots },
  quietMs: 30,
  concurrency: 24,
  chapters: (chapter) => chapter.layer === 'broker',
})
