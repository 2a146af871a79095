import type { Adapter } from '@posthorn/core'
import { conformance } from '@posthorn/testkit/conformance'
import { memory } from './index.ts'

conformance({
  name: 'memory',
  adapter: () => memory({ leaseMs: 2_000 }) as Adapter,
  quietMs: 30,
  concurrency: 20,
})
