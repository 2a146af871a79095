// What Posthorn sends and receives on SQLite.
import { sqlite } from '@posthorn/sqlite'
import type { Block } from '../harness/case.ts'
import { measured } from './measuring.ts'
import { batch, inFolder } from './sqlite-ground.ts'
import { counting, ordersOf, quiet, sendBy } from './through.ts'

/** Sends by callers that each await their last one, after a warm-up that has the same length at every scale. */
export const send =
  (total: number, callers: number, warm = total / 10): Block =>
  (scale) =>
    inFolder(async (path) => {
      const count = Math.ceil(total * scale)
      const broker = await quiet(sqlite(path))
      const orders = ordersOf(0)
      await sendBy(broker, orders, warm, callers)
      const sample = await measured(count, () => sendBy(broker, orders, count, callers))
      await broker.close()
      return sample
    })

/** Receives and acknowledges with an empty async handler. */
export const consume =
  (total: number): Block =>
  (scale) =>
    inFolder(async (path) => {
      const count = Math.ceil(total * scale)
      const broker = await quiet(sqlite(path))
      const orders = ordersOf(0)
      const warm = Math.ceil(count / 10)
      await sendBy(broker, orders, count + warm, 1_000)
      const all = await counting(broker, orders, batch)
      await all.reached(warm)
      const sample = await measured(count, () => all.reached(count + warm))
      await broker.close()
      return sample
    })
