import type { Adapter } from '@posthorn/core'
import { defineAdapter, storeTraits, type Traits } from '@posthorn/core/driver'
import { clientOf, type MemoryClient } from './client.ts'
import { connectTo } from './driver.ts'
import { logNamed } from './log.ts'
import { type MemoryOptions, optionsFromUrl, settingsOf } from './options.ts'
import { storeOf } from './store.ts'

export type { MemoryClient } from './client.ts'
export type { MemoryOptions } from './options.ts'

/** A broker in this process's memory: every capability, nothing durable, its clock in hand. For tests and for trying things out. */
export function memory(options: MemoryOptions = {}): Adapter<{ replay: true; query: true }, MemoryClient> {
  const { log: name, manual, leaseMs, allowInProduction } = settingsOf(options)
  const log = logNamed(name, manual)
  const client = clientOf(log)
  const traits: Traits = { ...storeTraits, leaseMs, inFlight: 16 }
  return defineAdapter(
    'memory',
    { replay: true, query: true },
    {
      traits,
      connect: async (context) => connectTo(log, traits, client, context),
      openStore: async () => storeOf(log),
      clock: log.clock,
      volatile: true,
      volatileAllowed: allowInProduction,
      address: name === undefined ? 'memory:' : `memory:${name}`,
    },
  )
}

/** The adapter for `memory:` or `memory:name`. */
export function fromUrl(url: string): ReturnType<typeof memory> {
  return memory(optionsFromUrl(url))
}
