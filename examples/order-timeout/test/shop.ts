// The whole shop as a reader starts it: real processes, its own database, driven over HTTP, checked in the database.
import { type ChildProcess, spawn } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'

/** How it is started. */
export interface ShopOptions {
  readonly brokerUrl?: string | undefined
  readonly timeoutMs?: number | undefined
  readonly stock?: number | undefined
  /** `listen:to` of a broker's second listener. */
  readonly heldPorts?: string | undefined
  /** Of an earlier shop, with its data. */
  readonly folder?: string | undefined
}

/** A shop that runs. */
export interface Shop extends AsyncDisposable {
  readonly url: string
  readonly folder: string
  readonly process: ChildProcess
  /** What it wrote to the terminal. */
  readonly output: () => string
  /** Rows of the database. */
  rows(sql: string, ...values: (string | number)[]): Record<string, unknown>[]
  post(path: string, body?: object): Promise<{ readonly status: number; readonly body: Record<string, unknown> }>
  place(count?: number, note?: string): Promise<readonly string[]>
  /** What the order's card tells. */
  story(orderId: string): readonly string[]
  /** SIGTERM; resolves with the ms until it was gone. */
  end(): Promise<number>
}

/** Starts a shop and waits until its page answers. */
export async function openShop(options: ShopOptions = {}): Promise<Shop> {
  const folder = options.folder ?? mkdtempSync(join(tmpdir(), 'posthorn-shop-'))
  const own = options.folder === undefined
  const file = join(folder, 'shop.db')
  const child = spawn(process.execPath, ['--conditions=posthorn:source', join(import.meta.dirname, '../main.ts')], {
    env: {
      ...process.env,
      DATABASE_FILE: file,
      NAMESPACE: folder.slice(-6),
      ORDER_TIMEOUT_MS: String(options.timeoutMs ?? 20_000),
      STOCK: String(options.stock ?? 1_000),
      BROKER_URL: options.brokerUrl,
      HELD_PORTS: options.heldPorts,
      PORT: undefined,
    },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  let output = ''
  const gone = new Promise<void>((resolve) => child.once('close', () => resolve()))
  const url = await new Promise<string>((resolve, reject) => {
    const hear = (chunk: Buffer): void => {
      output += chunk.toString()
      const found = /^ready (\S+)\/$/m.exec(output)?.[1]
      if (found !== undefined) resolve(found)
    }
    child.stdout.on('data', hear)
    child.stderr.on('data', hear)
    child.once('close', () => reject(new Error(`the shop ended before it was ready:\n${output}`)))
  })
  const database = new DatabaseSync(file, { readOnly: true })
  const rows: Shop['rows'] = (sql, ...values) => database.prepare(sql).all(...values)
  const post: Shop['post'] = async (path, body = {}) => {
    const headers = { 'content-type': 'application/json' }
    const answer = await fetch(url + path, { method: 'POST', headers, body: JSON.stringify(body) }).catch(
      (cause: unknown) => {
        throw new Error(`${path} was not answered; the shop wrote:\n${output.slice(-4_000)}`, { cause })
      },
    )
    return { status: answer.status, body: (await answer.json()) as Record<string, unknown> }
  }
  const end = async (): Promise<number> => {
    const began = performance.now()
    child.kill('SIGTERM')
    await gone
    return performance.now() - began
  }
  return {
    url,
    folder,
    process: child,
    output: () => output,
    rows,
    post,
    end,
    place: async (count = 1, note = '') => {
      const { status, body } = await post('/orders', { count, note })
      if (status !== 201) throw new Error(`placing was answered ${status}: ${JSON.stringify(body)}`)
      return body['ids'] as string[]
    },
    story: (id) =>
      rows('select what, detail from story where order_id = ? order by seq', id).map((row) =>
        `${row['what']} ${row['detail']}`.trim(),
      ),
    async [Symbol.asyncDispose]() {
      if (child.exitCode === null && child.signalCode === null) await end()
      database.close()
      if (own) rmSync(folder, { recursive: true, force: true })
    },
  }
}

/** Waits until something holds; else says what it was instead. */
export async function until<T>(look: () => T | Promise<T>, holds: (found: T) => boolean, ms = 20_000): Promise<T> {
  const end = performance.now() + ms
  for (;;) {
    const found = await look()
    if (holds(found)) return found
    if (performance.now() > end)
      throw new Error(`not reached within ${ms} ms; it is ${JSON.stringify(found, undefined, 1)}`)
    await new Promise((resolve) => setTimeout(resolve, 50))
  }
}
