import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Adapter } from '@posthorn/core'
import { conformance } from '@posthorn/testkit/conformance'
import { afterAll } from 'vitest'
import { sqlite } from './index.ts'

const folder = await mkdtemp(join(tmpdir(), 'posthorn-sqlite-'))
afterAll(() => rm(folder, { recursive: true }))

conformance({
  name: 'sqlite',
  // Short, since scenarios wait for its end; but what stalls a whole machine for a second or two must not end it.
  adapter: (namespace) => sqlite({ path: join(folder, `${namespace}.db`), leaseMs: 4_000 }) as Adapter,
  quietMs: 100,
  concurrency: 4,
})
