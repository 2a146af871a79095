import { mkdirSync } from 'node:fs'
import { dirname, resolve } from 'node:path'

/** Where the application's tables lie; the broker's messages too, unless BROKER_URL names another. */
export const databaseFile = resolve(process.env['DATABASE_FILE'] ?? './data/shop.db')
export const databaseUrl = `sqlite:${databaseFile}`
export const brokerUrl = process.env['BROKER_URL'] ?? databaseUrl
/** How long an order waits for its payment: 15 minutes in a shop, 20 seconds for somebody who watches. */
export const timeoutMs = Number(process.env['ORDER_TIMEOUT_MS'] ?? 20_000)
/** 0: any free port. */
export const port = Number(process.env['PORT'] ?? 0)

mkdirSync(dirname(databaseFile), { recursive: true })
