import type { Chapter } from './scenario.ts'
import { claiming } from './seam/claiming.ts'
import { close } from './seam/close.ts'
import { declare } from './seam/declare.ts'
import { delay } from './seam/delay.ts'
import { groups } from './seam/groups.ts'
import { history } from './seam/history.ts'
import { lag } from './seam/lag.ts'
import { leases } from './seam/leases.ts'
import { order } from './seam/order.ts'
import { receive } from './seam/receive.ts'
import { roundTrip } from './seam/round-trip.ts'
import { send } from './seam/send.ts'
import { settle } from './seam/settle.ts'
import { shelf } from './seam/shelf.ts'
import { stores } from './seam/stores.ts'
import { together } from './seam/together.ts'
import { topics } from './seam/topics.ts'

/** What a driver shows core. */
export const seamChapters: readonly Chapter[] = [
  declare,
  send,
  roundTrip,
  receive,
  settle,
  groups,
  order,
  delay,
  leases,
  shelf,
  lag,
  topics,
  together,
  stores,
  claiming,
  history,
  close,
]
