// Starts the page and the worker as processes of their own, and each again whenever it dies.
import { type ChildProcess, fork } from 'node:child_process'
import { join } from 'node:path'
import { openLine } from './line.ts'
import { brokerUrl, databaseUrl } from './src/settings.ts'

type Name = 'web' | 'worker'
/** What a child says: it serves, or it has something for the other one. */
interface Word {
  readonly ready?: string
  readonly to?: Name
  readonly hold?: number
}

const children = new Map<Name, ChildProcess>()
const served = new Set<Name>()
let ending = false
let port = process.env['PORT']
const line = await openLine(brokerUrl)

function start(name: Name): void {
  const child = fork(join(import.meta.dirname, `${name}.ts`), {
    env: { ...process.env, BROKER_URL: line.url, PORT: port },
    stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
  })
  children.set(name, child)
  child.on('message', (word: Word) => {
    if (word.ready !== undefined) ready(name, word.ready)
    if (word.hold !== undefined) line.hold(word.hold, [...children.values()])
    if (word.to !== undefined) children.get(word.to)?.send(word)
  })
  child.once('exit', (code, signal) => {
    children.delete(name)
    if (!ending && !served.has(name) && signal === null) {
      console.error(`${name} could not start (${code})`)
      process.exitCode = 1
      end()
    }
    if (!ending) {
      console.log(`${name} ended (${signal ?? code}); starting it again`)
      start(name)
    }
    if (ending && children.size === 0) process.exit()
  })
}

function ready(name: Name, what: string): void {
  const again = served.has(name)
  served.add(name)
  if (name === 'worker' || again) return
  port = new URL(what).port
  console.log(`ready ${what}`)
  console.log(
    'Open it and place an order. Pay it in time, or watch it expire; then press the buttons that break things.',
  )
}

/** Whoever is frozen wakes to end; whoever has not ended in time is killed. */
function end(): void {
  if (ending) return
  ending = true
  for (const child of children.values()) {
    child.kill('SIGCONT')
    child.kill('SIGTERM')
  }
  setTimeout(() => {
    for (const child of children.values()) child.kill('SIGKILL')
  }, 4_000)
  if (children.size === 0) process.exit()
}
process.on('SIGTERM', end)
process.on('SIGINT', end)

console.log(
  `Order time-out on ${brokerUrl === databaseUrl ? 'SQLite, in one file' : new URL(brokerUrl).protocol.slice(0, -1)}`,
)
start('web')
start('worker')
