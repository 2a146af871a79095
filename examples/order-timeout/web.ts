// The page and its API, a process of its own: it sends, it reads the tables, it handles no message.
import { serve } from '@hono/node-server'
import { tokens } from '@posthorn/inversify'
import { api } from './src/api/api.ts'
import { compose } from './src/composition.ts'
import { endWith } from './src/ending.ts'
import { port } from './src/settings.ts'

const container = await compose()
const server = serve({ fetch: api(container).fetch, hostname: '127.0.0.1', port }, (address) =>
  process.send?.({ ready: `http://127.0.0.1:${address.port}/` }),
)
server.once('error', (error) => {
  console.error(`the page cannot be served: ${error.message}; PORT names another port`)
  process.exit(1)
})
endWith(async () => {
  server.close()
  await container.get(tokens.broker).close({ drainMs: 2_000 })
})
