import assert from 'node:assert/strict'
import type { Store } from '@posthorn/core'
import { type Claims, type Held, partsOf } from '@posthorn/core/driver'
import type { Stage } from './stage.ts'

/** A store, opened as by another process, with both its ports. */
export async function portsOf(stage: Stage): Promise<{ store: Store; held: Held; claims: Claims }> {
  const store = await stage.store()
  const { held, claims } = partsOf(store)
  assert.ok(held !== undefined && claims !== undefined, 'this store keeps not both ports')
  return { store, held, claims }
}

/** What must hold where an adapter is no store. */
export async function hasNoStore(stage: Stage): Promise<void> {
  assert.equal((await stage.connect()).store, undefined)
}
