import { mkdirSync } from 'node:fs'
import { dirname, resolve } from 'node:path'

const { DATABASE_FILE, BROKER_URL, NAMESPACE, HELD_PORTS } = process.env

/** Ends the program with what is wrong, before anything begins. */
function refuse(name: string, wish: string): never {
  console.error(`${name} is ${process.env[name]}; give ${wish}`)
  process.exit(1)
}

function whole(name: string, fallback: number, least: number, most = 2 ** 31 - 1): number {
  const value = Number(process.env[name] ?? fallback)
  return Number.isInteger(value) && value >= least && value <= most
    ? value
    : refuse(name, `a whole number from ${least} to ${most}`)
}

/** Where the application's tables lie; the broker's messages too, unless BROKER_URL names another. */
export const databaseFile = resolve(DATABASE_FILE ?? './data/shop.db')
/** A worker that was killed is followed by the next after `leaseMs`; in a shop the standard 30 s are fine. */
export const databaseUrl = `sqlite:${databaseFile}?leaseMs=4000`
export const brokerUrl = BROKER_URL ?? databaseUrl
if (!URL.canParse(brokerUrl)) refuse('BROKER_URL', 'a URL, such as amqp://localhost or kafka://localhost:9092')
/** Before every name on a network broker: a fresh database wants a fresh one. */
export const namespace = NAMESPACE ?? 'shop'
/** How long an order waits for its payment: 15 minutes in a shop, 20 seconds for somebody who watches. */
export const timeoutMs = whole('ORDER_TIMEOUT_MS', 20_000, 1)
/** What the shelf holds in a new database. */
export const startingStock = whole('STOCK', 1_000, 0)
/** 0: any free port. */
export const port = whole('PORT', 0, 0, 65_535)

const [listen, to] = HELD_PORTS?.split(':').map(Number) ?? []
/** `listen:to` where a broker has a second listener for a proxy, as the one of `pnpm brokers` for Kafka. */
export const held = listen && to ? { listen, to } : undefined

mkdirSync(dirname(databaseFile), { recursive: true })
