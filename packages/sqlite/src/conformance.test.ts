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
  adapter: (namespace) => sqlite({ path: join(folder, `${namespace}.db`), leaseMs: 2_000 }) as Adapter,
  quietMs: 100,
  concurrency: 4,
})
