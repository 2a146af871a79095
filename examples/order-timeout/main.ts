// Starts the page and the worker as processes of their own, and each again whenever it dies.
import { type ChildProcess, fork } from 'node:child_process'
import { join } from 'node:path'
import { openLine } from './src/demo/line.ts'
import { brokerUrl, databaseUrl, port } from './src/settings.ts'

type Name = 'web' | 'worker'
/** What a child says: it serves, or it has something for the other one, or for the line to the broker. */
interface Word {
  readonly ready?: string
  readonly to?: Name
  readonly hold?: number
}

/** Sources run unbuilt: what Node made of them is kept for the next start, which then takes half as long. */
const compiled = join(import.meta.dirname, 'node_modules/.cache/node')

const children = new Map<Name, ChildProcess>()
const served = new Set<Name>()
let ending = false
let pagePort = port
const line = await openLine(brokerUrl)

function start(name: Name): void {
  const child = fork(join(import.meta.dirname, `${name}.ts`), {
    env: { NODE_COMPILE_CACHE: compiled, ...process.env, BROKER_URL: line.url, PORT: String(pagePort) },
    stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
  })
  children.set(name, child)
  child.on('message', ({ ready: address, hold, ...word }: Word) => {
    if (address !== undefined) ready(name, address)
    if (hold !== undefined) line.hold(hold, [...children.values()])
    if (word.to !== undefined) children.get(word.to)?.send(word)
  })
  child.once('exit', (code, signal) => {
    children.delete(name)
    if (ending) return leave()
    if (!served.has(name) && signal === null) {
      console.error(`${name} could not start (${code})`)
      process.exitCode = 1
      return end()
    }
    console.log(`${name} ended (${signal ?? code}); starting it again`)
    start(name)
  })
}

function ready(name: Name, address: string): void {
  const again = served.has(name)
  served.add(name)
  if (name === 'worker' || again) return
  pagePort = Number(new URL(address).port)
  console.log(`ready ${address}`)
  console.log(
    'Open it and place an order. Pay it in time, or watch it expire; then press the buttons that break things.',
  )
}

/** Whoever is frozen wakes to end; whoever has not ended in time is killed. */
function end(): void {
  if (ending) return
  ending = true
  for (const child of children.values()) for (const signal of ['SIGCONT', 'SIGTERM'] as const) child.kill(signal)
  setTimeout(() => [...children.values()].map((child) => child.kill('SIGKILL')), 4_000)
  leave()
}
function leave(): void {
  if (children.size === 0) process.exit()
}
for (const signal of ['SIGTERM', 'SIGINT'] as const) process.on(signal, end)

const where = brokerUrl === databaseUrl ? 'SQLite, in one file' : new URL(brokerUrl).protocol.slice(0, -1)
console.log(`Order time-out on ${where}`)
start('web')
start('worker')
