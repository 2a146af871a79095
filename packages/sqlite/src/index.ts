import { resolve } from 'node:path'
import type { Adapter } from '@posthorn/core'
import { type DriverContext, defineAdapter, storeTraits, type Traits } from '@posthorn/core/driver'
import type { SqliteClient } from './client.ts'
import { driverOf } from './driver.ts'
import { hubOf } from './hub.ts'
import { optionsFromUrl, type SqliteOptions, settingsOf } from './options.ts'
import { storeOf } from './store.ts'

export type { SqliteClient } from './client.ts'
export type { SqliteOptions } from './options.ts'
export { sqliteTx } from './transaction.ts'

/** Transport and store in one file, by `node:sqlite`: `sqlite('./data/app.db')`. Safe on power loss; any number of processes of one machine. */
export function sqlite(options: string | SqliteOptions): Adapter<{ replay: true; query: true }, SqliteClient> {
  const settings = settingsOf(options)
  const traits: Traits = { ...storeTraits, leaseMs: settings.leaseMs, inFlight: 1 }
  return defineAdapter(
    'sqlite',
    { replay: true, query: true },
    {
      traits,
      connect: async (context: DriverContext) =>
        driverOf(await hubOf(settings, context.connectTimeoutMs), settings, traits, context),
      openStore: async (context: DriverContext) => {
        const hub = await hubOf(settings, context.connectTimeoutMs)
        return storeOf(hub, context.namespace, context.clock, hub.release)
      },
      address: `sqlite:${resolve(settings.path)}`,
    },
  )
}

/** The adapter for `sqlite:./app.db`. */
export function fromUrl(url: string): ReturnType<typeof sqlite> {
  return sqlite(optionsFromUrl(url))
}
