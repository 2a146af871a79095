// Orders under kills: the worker dies again and again between what a handler wrote and its commit.
import { openShop, type Shop, until } from './shop.ts'
import { broken } from './truth.ts'

/** What a run did and found. */
export interface Result {
  readonly broker: string
  readonly orders: number
  readonly kills: number
  readonly paid: number
  readonly cancelled: number
  readonly refunded: number
  readonly duplicatesDropped: number
  readonly retried: number
  readonly deadLetters: number
  readonly seconds: number
  readonly broken: readonly string[]
}

interface State {
  readonly broker: string
  readonly backlog: readonly { readonly name: string; readonly backlog: number }[]
}

const number = (shop: Shop, sql: string): number => Number(shop.rows(sql)[0]?.['n'])

/** How often something was told, from what is new in the stories only: they are long, and asked often. */
function counting(shop: Shop): (what: string) => number {
  const counts = new Map<unknown, number>()
  let seen = 0
  return (what) => {
    for (const row of shop.rows('select seq, what from story where seq > ? order by seq', seen)) {
      seen = Number(row['seq'])
      counts.set(row['what'], (counts.get(row['what']) ?? 0) + 1)
    }
    return counts.get(what) ?? 0
  }
}

/** What is handled of an order at least: stock, mail and SMS hear that it was placed, mail and SMS of its end. */
const leastHandled = 5
/** Customers who place and pay beside each other. */
const customers = 8

/** Places orders, pays half of them in time and some in the moment of their time-out, kills meanwhile, and waits until all is at rest. */
export async function ordersUnderKills(options: {
  readonly brokerUrl?: string | undefined
  readonly orders: number
  readonly kills: number
  readonly timeoutMs: number
  readonly patienceMs: number
}): Promise<Result> {
  const { orders, kills, timeoutMs, patienceMs } = options
  const began = performance.now()
  await using shop = await openShop({ brokerUrl: options.brokerUrl, timeoutMs, stock: orders })
  const told = counting(shop)
  let begun = 0
  const payments: Promise<unknown>[] = []
  const place = async (): Promise<void> => {
    while (begun < orders) {
      const count = Math.min(20, orders - begun)
      begun += count
      const ids = await shop.place(count)
      for (const [at, id] of ids.entries()) {
        if (at % 2 === 0) await shop.post(`/orders/${id}/pay`)
        if (at % 10 === 1) payments.push(atTheEnd(shop, id))
      }
    }
  }
  // Spread over the whole work: placings, payments, time-outs and what follows from them. Hit by every kill, the first message would be poison, and rightly.
  const kill = async (): Promise<void> => {
    for (let done = 0; done < kills; done++) {
      await until(
        () => told('handled'),
        (n) => n >= ((done + 0.5) * orders * leastHandled) / kills,
        patienceMs,
      )
      await shop.post('/break/kill', { count: 1 })
      // Its end, not its last word: what is told to a process that is dying is lost.
      await until(
        () => shop.output().split('worker ended (SIGKILL)').length - 1,
        (n) => n > done,
        patienceMs,
      )
    }
  }
  await Promise.all([kill(), ...Array.from({ length: customers }, place)])
  await Promise.all(payments)
  const lagging = async (): Promise<State> => (await (await fetch(`${shop.url}/state`)).json()) as State
  const atRest = async (): Promise<void> => {
    await until(
      () => number(shop, "select count(*) as n from orders where state = 'pending'"),
      (n) => n === 0,
      patienceMs,
    )
    await until(lagging, ({ backlog }) => backlog.every((each) => each.backlog === 0), patienceMs)
    await until(
      () => broken(shop, orders),
      (found) => found.length === 0,
      patienceMs,
    )
  }
  await atRest().catch((error: unknown) => console.error(error))
  const left = broken(shop, orders)
  const state = await lagging()
  return {
    broker: state.broker,
    orders,
    kills: told('worker killed'),
    paid: number(shop, "select count(*) as n from orders where state = 'paid'"),
    cancelled: number(shop, "select count(*) as n from orders where state = 'cancelled'"),
    refunded: number(shop, 'select count(*) as n from charges where refunded = 1'),
    duplicatesDropped: told('duplicate dropped'),
    retried: told('retried'),
    deadLetters: told('dead letter'),
    seconds: Math.round((performance.now() - began) / 100) / 10,
    broken: left,
  }
}

/** A payment in the moment in which the time is over: either may win. */
async function atTheEnd(shop: Shop, id: string): Promise<void> {
  const due = Number(shop.rows('select due_at as n from orders where id = ?', id)[0]?.['n'])
  await new Promise((resolve) => setTimeout(resolve, Math.max(0, due - Date.now())))
  await shop.post(`/orders/${id}/pay`)
}
