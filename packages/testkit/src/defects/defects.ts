// Drivers that are wrong on purpose, each in one way at a fixed place: what a suite must find to be believed.
import type { Adapter } from '@posthorn/core'
import { type Clock, type Driver, planOf, systemClock } from '@posthorn/core/driver'
import { operating } from './operating.ts'
import { type DefectKind, type Place, strikesAt } from './place.ts'
import { receipts } from './receipts.ts'
import { receiving } from './receiving.ts'
import { sending } from './sending.ts'
import { settling } from './settling.ts'

const kinds = { ...sending, ...receipts, ...receiving, ...settling, ...operating } satisfies Record<string, DefectKind>

/** Names a defect. */
export type DefectName = keyof typeof kinds

/** All of them. */
export const defectNames: readonly DefectName[] = Object.keys(kinds) as DefectName[]

/** A defect that can be built into a driver or an adapter. */
export interface Defect {
  readonly name: DefectName
  /** What it does wrong. */
  readonly sentence: string
  /** A driver that works but for this. */
  wrap(driver: Driver, clock?: Clock): Driver
  /** An adapter whose drivers all work but for this; they count their occasions together. */
  adapter<A extends Adapter>(adapter: A): A
  /** How often it did something wrong so far. */
  fired(): number
}

/** A fresh defect; `place` says at which occasion it fires, where its own does not fit the run. */
export function defect(name: DefectName, place?: Partial<Place>): Defect {
  const kind: DefectKind = kinds[name]
  const { strike, fired } = strikesAt({ ...kind.place, ...place })
  const wrap = (driver: Driver, clock: Clock = systemClock): Driver => kind.wrap(driver, strike, clock)
  return {
    name,
    sentence: kind.sentence,
    wrap,
    adapter(adapter) {
      const plan = planOf(adapter)
      const changed: typeof plan = {
        ...plan,
        connect: async (context) => wrap(await plan.connect(context), context.clock),
      }
      return { ...adapter, '~adapter': changed as unknown as (typeof adapter)['~adapter'] }
    },
    fired,
  }
}
