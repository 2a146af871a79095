// What the buttons on the page break, counted in the memory of the process that it concerns; an application has none of this.

import type { Broker } from 'posthorn'
import { orderOf } from '../shop/messages.ts'
import type { Service } from '../shop/service.ts'

/** The next handler is killed, the SMS gateway or the payment service says no. */
export type Breakage = 'kill' | 'sms' | 'payments'

const left = new Map<Breakage, number>()

/** The next `count` uses fail. */
export function breakNext(what: Breakage, count: number): void {
  left.set(what, count)
}

/** Whether this use fails. */
export function takeBreakage(what: Breakage): boolean {
  const count = left.get(what) ?? 0
  left.set(what, Math.max(0, count - 1))
  return count > 0
}

/** The worker has no page: its parent passes on what was pressed. */
export function hearButtons({ store }: Broker): void {
  process.on('message', ({ breaks, count, freeze }: { breaks?: Breakage; count: number; freeze?: true }) => {
    if (breaks !== undefined) breakNext(breaks, count)
    if (freeze) void store.transaction((tx) => tx.query('select 1')).then(stopHere)
  })
}
/** Right after a commit of ours no other has begun: nobody is frozen with the lock of the file in hand. */
function stopHere(): void {
  process.kill(process.pid, 'SIGSTOP')
}

/** Dies between what a service has written and the commit, with a last word to whoever still lives. */
export const mortal = <T>(service: Service<T>): Service<T> => ({
  async handle(delivery) {
    await service.handle(delivery)
    if (!takeBreakage('kill')) return
    const word = { to: 'web', died: orderOf(delivery.id), detail: `${delivery.group} had written, not committed` }
    await new Promise(() => process.send?.(word, () => process.kill(process.pid, 'SIGKILL')))
  },
})
