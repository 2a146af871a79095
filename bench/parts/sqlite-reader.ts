// The other process of the latency row: reports how long each message was under way.
import { sqlite } from '@posthorn/sqlite'
import { ordersOf, quiet } from './through.ts'

const broker = await quiet(sqlite(process.argv[2] ?? ''))
await broker.consume(ordersOf(0), { group: 'bench' }, async ({ body }) => {
  process.send?.(performance.timeOrigin + performance.now() - body.id)
})
process.send?.('ready')
