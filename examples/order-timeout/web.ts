// The page and its API, a process of its own: it sends, it reads the tables, it handles no message.
import { serve } from '@hono/node-server'
import { api } from './src/api.ts'
import { compose } from './src/composition.ts'
import { open } from './src/connection.ts'
import { endWith } from './src/ending.ts'
import { answerForHalves, PaymentService } from './src/payments.ts'
import { port } from './src/settings.ts'
import { makeTables } from './src/tables.ts'

const broker = await open()
await makeTables(broker)
const container = compose(broker)
answerForHalves(broker, container.get(PaymentService))
const server = serve({ fetch: api(broker, container).fetch, hostname: '127.0.0.1', port }, (address) =>
  process.send?.({ ready: `http://127.0.0.1:${address.port}/` }),
)
endWith(async () => {
  server.close()
  await broker.close({ drainMs: 2_000 })
})
