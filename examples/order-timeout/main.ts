// Starts the page and the worker as processes of their own, and the worker again whenever it dies.
import { type ChildProcess, fork } from 'node:child_process'
import { join } from 'node:path'
import { brokerUrl, databaseUrl } from './src/settings.ts'

/** What a child says. */
interface Word {
  readonly ready?: 'web' | 'worker'
  readonly url?: string
  readonly hold?: number
}

let ending = false
const children = new Map<'web' | 'worker', ChildProcess>()

function start(name: 'web' | 'worker'): void {
  const child = fork(join(import.meta.dirname, `${name}.ts`), { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] })
  children.set(name, child)
  child.on('message', (word: Word) => {
    if (word.ready === 'web') {
      console.log(`ready ${word.url}`)
      console.log(
        'Open it and place an order. Pay it in time, or watch it expire; then press the buttons that break things.',
      )
    }
    if (word.hold !== undefined) hold(word.hold)
  })
  child.once('exit', (code, signal) => {
    children.delete(name)
    if (ending) return
    console.log(`${name} ended (${signal ?? code}); starting it again`)
    start(name)
  })
}

/** The worker hears and says nothing for a while, as behind a network that holds everything back. */
function hold(ms: number): void {
  const worker = children.get('worker')
  worker?.kill('SIGSTOP')
  setTimeout(() => worker?.kill('SIGCONT'), ms)
}

function end(): void {
  if (ending) return
  ending = true
  for (const child of children.values()) {
    child.kill('SIGCONT')
    child.kill('SIGTERM')
  }
  const last = setTimeout(() => {
    for (const child of children.values()) child.kill('SIGKILL')
  }, 4_000)
  last.unref()
}
process.on('SIGTERM', end)
process.on('SIGINT', end)

console.log(
  `Order time-out on ${brokerUrl === databaseUrl ? 'SQLite, in one file' : new URL(brokerUrl).protocol.slice(0, -1)}`,
)
start('web')
start('worker')
