import { mkdirSync } from 'node:fs'
import { dirname, resolve } from 'node:path'

const { DATABASE_FILE, BROKER_URL, NAMESPACE, ORDER_TIMEOUT_MS, STOCK, PORT, HELD_PORTS } = process.env

/** Where the application's tables lie; the broker's messages too, unless BROKER_URL names another. */
export const databaseFile = resolve(DATABASE_FILE ?? './data/shop.db')
/** A worker that was killed is followed by the next after `leaseMs`; in a shop the standard 30 s are fine. */
export const databaseUrl = `sqlite:${databaseFile}?leaseMs=4000`
export const brokerUrl = BROKER_URL ?? databaseUrl
/** Before every name on a network broker: a fresh database wants a fresh one. */
export const namespace = NAMESPACE ?? 'shop'
/** How long an order waits for its payment: 15 minutes in a shop, 20 seconds for somebody who watches. */
export const timeoutMs = Number(ORDER_TIMEOUT_MS ?? 20_000)
/** What the shelf holds in a new database. */
export const startingStock = Number(STOCK ?? 1_000)
/** 0: any free port. */
export const port = Number(PORT ?? 0)

const [listen, to] = HELD_PORTS?.split(':').map(Number) ?? []
/** `listen:to` where a broker has a second listener for a proxy, as the one of `pnpm brokers` for Kafka. */
export const held = listen && to ? { listen, to } : undefined

mkdirSync(dirname(databaseFile), { recursive: true })
