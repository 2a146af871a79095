import { setImmediate as turn } from 'node:timers/promises'
import { expect, test } from 'vitest'
import { systemClock } from '../driver/clock.ts'
import type { Arrival } from '../driver/envelope.ts'
import type { Source } from '../driver/seam.ts'
import { Intake } from './intake.ts'
import { session } from './session.ts'

test.each([1, 25, 500])(
  'a source that always has something, %i at a time, leaves timers and sockets their turns after a thousand',
  async (atOnce) => {
    let accepted = 0
    const source = {
      receive: async () => Array.from({ length: atOnce }, () => ({}) as Arrival),
      close: async () => {},
    } as unknown as Source
    const stopping = new AbortController()
    const intake = new Intake({
      stopping,
      clock: systemClock,
      name: 'orders',
      window: 1_000,
      ends: false,
      closesOnPause: false,
      open: async (freed) => session(source, systemClock, undefined, freed),
      accept: () => accepted++,
      forget: () => {},
      handBack: () => {},
      idle: async () => undefined,
    })
    await intake.open()
    const served = intake.serve()
    for (const turns of [1, 2, 3]) {
      await turn()
      expect(accepted).toBe(turns * 1_000)
    }
    intake.stop()
    await served
  },
)
