// The services behind the page: stock, orders, payments, mail and SMS. May be killed at any moment; `main.ts` starts it again.
import { startConsumers } from '@posthorn/inversify'
import { compose, consumers } from './src/composition.ts'
import { open } from './src/connection.ts'
import { endWith } from './src/ending.ts'
import { answerForHalves, PaymentService } from './src/payments.ts'
import { makeTables } from './src/tables.ts'

const broker = await open()
await makeTables(broker)
const container = compose(broker)
consumers(container, broker)
answerForHalves(broker, container.get(PaymentService))
const running = await startConsumers(container)
endWith(() => running.stop({ drainMs: 2_000 }))
process.send?.({ ready: 'worker' })
