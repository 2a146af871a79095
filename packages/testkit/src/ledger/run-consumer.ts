import type { Broker, Consumer, Delivery, Topic, Verdict } from '@posthorn/core'
import { reject } from '@posthorn/core'
import { fingerprint } from './fingerprint.ts'
import { place, type Run, type RunBody, type RunGroup } from './run-state.ts'

/** Joins a group and writes down what it sees and does; `seen` hears of each message as its handler begins. */
export function consume(
  run: Run,
  broker: Broker,
  orders: Topic<RunBody>,
  group: RunGroup,
  seen: (number: number) => void,
): Promise<Consumer> {
  const { ledger } = run
  const failedOnce = new Set<string>()
  const finish = (id: string): void => {
    run.done.add(place(group, id))
    run.wanted.delete(place(group, id))
  }
  // Whether it lies on the shelf is looked up at the end; this only ends the waiting.
  broker.on('dead-letter', (letter) => {
    if (letter.group === group) finish(letter.id)
  })
  const handler = async ({ id, body, key, tag, headers, topic }: Delivery<RunBody>): Promise<Verdict | undefined> => {
    const content = { body: JSON.stringify(body), key, tag, headers: { n: headers['n'] ?? '' } }
    ledger.delivery({ id, group, topic, hash: fingerprint(content) })
    seen(body.number)
    // Of different length, so that handlers overlap and end out of order.
    for (let turns = body.number % 5; turns >= 0; turns--) await new Promise((resolve) => setImmediate(resolve))
    if (body.course === 'rejected') return reject('the run rejects it')
    if (body.course === 'fails once' && !failedOnce.has(id)) {
      failedOnce.add(id)
      throw new Error('the run lets it fail once')
    }
    ledger.effect(id, group)
    finish(id)
    return undefined
  }
  const asked = { group, concurrency: 8, window: 32, use: run.use }
  if (group === 'billing') return broker.consume(orders, { ...asked, order: 'key' }, handler)
  if (group === 'audit') return broker.consume(orders, { ...asked, order: 'none' }, handler)
  return broker.consume(orders, { ...asked, order: 'none', filter: { tag: 'paid' } }, handler)
}
