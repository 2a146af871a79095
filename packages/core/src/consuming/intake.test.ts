import { setImmediate as turn } from 'node:timers/promises'
import { expect, test } from 'vitest'
import { systemClock } from '../driver/clock.ts'
import type { Arrival } from '../driver/envelope.ts'
import type { Source } from '../driver/seam.ts'
import { Intake } from './intake.ts'
import { type Session, session } from './session.ts'
import { Task } from './task.ts'

/** An intake with a window of 1,000 from a source that gives by `receive`. */
function intakeOf(receive: Source['receive'], accept: (arrival: Arrival, from: Session) => void): Intake {
  const source = {
    receive,
    settle: async (batch: readonly unknown[]) => batch.map(() => 'ok'),
    close: async () => {},
  } as unknown as Source
  return new Intake({
    stopping: new AbortController(),
    clock: systemClock,
    name: 'orders',
    window: 1_000,
    ends: false,
    closesOnPause: false,
    open: async (freed) => session(source, systemClock, undefined, freed),
    accept,
    forget: () => {},
    refused: () => {},
    handBack: () => {},
    idle: async () => undefined,
  })
}

const arrivals = (count: number): Arrival[] => Array.from({ length: count }, () => ({}) as Arrival)

test.each([1, 25, 500])(
  'a source that always has something, %i at a time, leaves timers and sockets their turns after a thousand',
  async (atOnce) => {
    let accepted = 0
    const intake = intakeOf(
      async () => arrivals(atOnce),
      () => accepted++,
    )
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

test('a full hand that gets room message by message asks once for all the room of a turn', async () => {
  const asked: number[] = []
  const tasks: Task[] = []
  const intake = intakeOf(
    async (max) => {
      asked.push(max)
      return arrivals(max)
    },
    (arrival, from) => {
      const task = new Task(arrival, from, undefined, false)
      from.hold(task)
      tasks.push(task)
    },
  )
  await intake.open()
  const served = intake.serve()
  // It has given the event loop its turn, and waits for room.
  await turn()
  await turn()
  expect(asked).toEqual([1_000])
  // One settled after the other, as the messages of one key are.
  for (const task of tasks.slice(0, 3)) await task.session.settle(task, { token: 1, verdict: 'ack' })
  await turn()
  await turn()
  expect(asked).toEqual([1_000, 3])
  intake.stop()
  await served
})
