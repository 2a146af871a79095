// What the buttons on the page break, counted in the memory of the process that it concerns; an application has none of this.
import type { EffectDelivery } from 'posthorn'
import { orderOf } from './messages.ts'
import type { Service } from './service.ts'

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

/** Dies between what a service has written and the commit, with a last word to whoever still lives. */
export function mortal<T>(service: Service<T>): Service<T> {
  return {
    async handle(delivery: EffectDelivery<T>) {
      await service.handle(delivery)
      if (!takeBreakage('kill')) return
      const word = { to: 'web', died: orderOf(delivery.id), detail: `${delivery.group} had written, not committed` }
      await new Promise(() => process.send?.(word, () => process.kill(process.pid, 'SIGKILL')))
    },
  }
}
