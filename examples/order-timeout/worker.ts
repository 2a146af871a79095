// The services behind the page: stock, orders, payments, mail and SMS. May be killed at any moment; `main.ts` starts it again.
import { startConsumers, tokens } from '@posthorn/inversify'
import { compose, listen } from './src/composition.ts'
import { hearButtons } from './src/demo/breakage.ts'
import { endWith } from './src/ending.ts'

const container = await compose()
listen(container)
hearButtons(container.get(tokens.broker))
const running = await startConsumers(container)
endWith(() => running.stop({ drainMs: 2_000 }))
process.send?.({ ready: 'worker' })
