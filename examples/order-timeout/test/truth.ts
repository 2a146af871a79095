// What must be true of a shop that has come to rest, whatever happened to it.
import type { Shop } from './shop.ts'

/** Every sentence that does not hold, with how many orders break it; empty when all is well. */
export function broken(shop: Shop, orders: number): readonly string[] {
  const count = (sql: string): number => Number(shop.rows(sql)[0]?.['n'])
  const mails = (channel: string): string =>
    `select count(*) as n from orders o where (select group_concat(what, ' ') from (select what from notices
     where order_id = o.id and channel = '${channel}' order by rowid)) is not 'placed ' || o.state`
  const checks: readonly (readonly [string, string])[] = [
    ['orders neither paid nor cancelled', "select count(*) as n from orders where state not in ('paid', 'cancelled')"],
    ['orders without exactly one mail per event, in order', mails('mail')],
    ['orders without exactly one SMS per event, in order', mails('sms')],
    ['paid orders without a lamp', reservation('paid', 'not in')],
    ['cancelled orders with a lamp', reservation('cancelled', 'in')],
    ['lamps that do not add up', 'select abs(total - free - (select count(*) from reservations)) as n from stock'],
    [
      'paid orders whose money was not kept',
      "select count(*) as n from orders where state = 'paid' and id not in (select order_id from charges where refunded = 0)",
    ],
    [
      'cancelled orders whose money was kept',
      "select count(*) as n from orders where state = 'cancelled' and id in (select order_id from charges where refunded = 0)",
    ],
  ]
  const missing = orders - count('select count(*) as n from orders')
  return [
    ...(missing === 0 ? [] : [`${missing} orders missing`]),
    ...checks
      .map(([what, sql]) => [what, count(sql)] as const)
      .flatMap(([what, n]) => (n === 0 ? [] : [`${n} ${what}`])),
  ]
}

const reservation = (state: string, is: string): string =>
  `select count(*) as n from orders where state = '${state}' and id ${is} (select order_id from reservations)`
