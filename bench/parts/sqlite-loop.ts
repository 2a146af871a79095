// What SQLite on the event loop does to the process: timers beside a held transaction, and a consumer that waits.
import { setTimeout as sleep } from 'node:timers/promises'
import { sqlite } from '@posthorn/sqlite'
import type { Block } from '../harness/case.ts'
import { measured, orderOf } from './measuring.ts'
import { inFolder } from './sqlite-ground.ts'
import { ordersOf, quiet } from './through.ts'

/** What a process with a waiting consumer burns, in percent of one core. */
export const idle: Block = (scale) =>
  inFolder(async (path) => {
    const broker = await quiet(sqlite(path))
    const orders = ordersOf(0)
    await broker.consume(orders, { group: 'bench' }, async () => {})
    await sleep(1_000)
    const ms = Math.ceil(5_000 * scale)
    const sample = await measured(1, () => sleep(ms))
    await broker.close()
    return { ...sample, more: { '% of a core': (sample.cpuMs / sample.wallMs) * 100 } }
  })

/** How late timers of 2 ms are at worst until the answer is called. */
function latest(): () => number {
  let late = 0
  let over = false
  const watch = async (): Promise<void> => {
    for (let from = performance.now(); !over; from = performance.now()) {
      await sleep(2)
      late = Math.max(late, performance.now() - from - 2)
    }
  }
  void watch()
  return () => {
    over = true
    return late
  }
}

/** A transaction that awaits for a second while others send. A send that fails ends the block. */
export const held: Block = (scale) =>
  inFolder(async (path) => {
    const broker = await quiet(sqlite(path))
    const orders = ordersOf(0)
    const producer = broker.producer()
    for (let n = 0; n < 200; n++) await producer.send(orders, orderOf(n))
    const sends: Promise<unknown>[] = []
    let over = false
    // Begun outside of the transaction: what is sent inside it goes by its tx.
    const beside = async (): Promise<void> => {
      for (; !over; await sleep(10)) sends.push(producer.send(orders, orderOf(sends.length)))
    }
    const sending = beside()
    let late = 0
    const sample = await measured(1, () =>
      broker.store.transaction(async (tx) => {
        await tx.query('CREATE TABLE app (n INTEGER)')
        const ended = latest()
        await sleep(Math.ceil(1_000 * scale))
        // The commit is a write like any other.
        late = ended()
      }),
    )
    over = true
    await sending
    await Promise.all(sends)
    await broker.close()
    return { ...sample, more: { 'ms latest': late } }
  })

/** What the machine does to timers by itself. */
export const timersAlone: Block = async (scale) => {
  let late = 0
  const second = async (): Promise<void> => {
    const ended = latest()
    await sleep(Math.ceil(1_000 * scale))
    late = ended()
  }
  await second()
  const sample = await measured(1, second)
  return { ...sample, more: { 'ms latest': late } }
}
