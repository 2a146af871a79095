// SQLite (G22 to G25) beside node:sqlite by hand in the same thread.
import type { BenchFile } from './harness/case.ts'
import { consumeByHand, sendByHand } from './parts/sqlite-by-hand.ts'
import { batch } from './parts/sqlite-ground.ts'
import { latency, latencyAcross } from './parts/sqlite-latency.ts'
import { held, idle, timersAlone } from './parts/sqlite-loop.ts'
import { consume, send } from './parts/sqlite-ours.ts'

const many = 100_000
const single = 4_000
/** Of sends one by one before the clock starts: code that was just loaded runs at half its speed, and the last of it is compiled after some 12,000. */
const singleWarm = 12_000

/** Rows G22 to G25. */
export const cases: BenchFile['cases'] = [
  {
    what: 'send, 1,000 callers, synchronous FULL',
    posthorn: send(many, 1_000),
    reference: { name: 'node:sqlite, batches of 500', block: sendByHand(many, batch) },
    goals: [{ id: 'G22', unit: 'msg/s', atLeast: 0.7 }],
  },
  {
    what: 'send, one awaited after the other',
    posthorn: send(single, 1, singleWarm),
    reference: { name: 'node:sqlite, a commit each', block: sendByHand(single, 1, singleWarm) },
    goals: [{ id: 'G23', unit: 'msg/s', atLeast: 0.9 }],
  },
  {
    what: 'receive and acknowledge, async handler',
    posthorn: consume(many),
    reference: { name: 'node:sqlite, claim and delete in batches of 500', block: consumeByHand(many) },
    goals: [{ id: 'G24', unit: 'msg/s', atLeast: 0.7 }],
  },
  {
    what: 'from send to handler, one process',
    posthorn: latency,
    reference: { name: 'budget of 2 ms', plus: 2 },
    goals: [{ id: 'G25a', unit: 'ms p50', atMost: 1 }],
  },
  {
    what: 'from send to handler, two processes',
    posthorn: latencyAcross,
    reference: { name: 'budget of 15 ms', plus: 15 },
    goals: [
      { id: 'G25b', unit: 'ms p50', atMost: 1 },
      { id: 'G25c', unit: 'ms p99', atMost: 2 },
    ],
  },
  {
    what: 'timers while a transaction is held for 1 s and others send',
    posthorn: held,
    reference: { name: 'timers alone, and 5 ms', block: timersAlone, plus: 5 },
    goals: [{ id: 'G25e', unit: 'ms latest', atMost: 1 }],
  },
  {
    what: 'a consumer that waits',
    posthorn: idle,
    reference: { name: 'budget of 1 %', plus: 1 },
    goals: [{ id: 'G25d', unit: '% of a core', atMost: 1 }],
  },
]
