// From send to handler on SQLite: within a process, and from one to another.
import { type ChildProcess, fork } from 'node:child_process'
import { setTimeout as sleep } from 'node:timers/promises'
import { sqlite } from '@posthorn/sqlite'
import type { Block } from '../harness/case.ts'
import { measured, orderOf } from './measuring.ts'
import { inFolder } from './sqlite-ground.ts'
import { ordersOf, quiet } from './through.ts'

/** From the call of `send` to the start of the handler, one message at a time; the middle of them. */
export const latency: Block = (scale) =>
  inFolder(async (path) => {
    const broker = await quiet(sqlite(path))
    const orders = ordersOf(0)
    let arrived = (): void => {}
    await broker.consume(orders, { group: 'bench' }, async () => arrived())
    const producer = broker.producer()
    const times: number[] = []
    const count = Math.ceil(500 * scale)
    const sample = await measured(count, async () => {
      for (let n = 0; n < count; n++) {
        const here = new Promise<void>((resolve) => {
          arrived = resolve
        })
        const from = performance.now()
        await Promise.all([producer.send(orders, orderOf(n)), here])
        times.push(performance.now() - from)
        await sleep(1)
      }
    })
    await broker.close()
    return { ...sample, more: percentiles(times) }
  })

/** The same with the handler in another process; times by the wall clock that both have. */
export const latencyAcross: Block = (scale) =>
  inFolder(async (path) => {
    const other = await reader(path)
    const broker = await quiet(sqlite(path))
    const producer = broker.producer()
    const orders = ordersOf(0)
    const times: number[] = []
    other.on('message', (message) => {
      if (typeof message === 'number') times.push(message)
    })
    const count = Math.ceil(300 * scale)
    const sample = await measured(count, async () => {
      for (let n = 0; n < count; n++) {
        await producer.send(orders, { ...orderOf(n), id: performance.timeOrigin + performance.now() })
        await sleep(15 + (n % 7))
      }
      while (times.length < count) await sleep(5)
    })
    await broker.close()
    const gone = new Promise((resolve) => other.once('exit', resolve))
    other.kill()
    await gone
    return { ...sample, more: percentiles(times) }
  })

function percentiles(times: number[]): Record<string, number> {
  const sorted = times.sort((a, b) => a - b)
  const at = (part: number): number => sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * part))] as number
  return { 'ms p50': at(0.5), 'ms p99': at(0.99) }
}

async function reader(path: string): Promise<ChildProcess> {
  const child = fork(new URL('./sqlite-reader.ts', import.meta.url), [path])
  await new Promise((resolve) => child.once('message', resolve))
  return child
}
