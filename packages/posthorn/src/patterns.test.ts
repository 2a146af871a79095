// The patterns that the umbrella brings, on every broker that stays: SQLite is its own store, the others have it beside them.
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Adapter } from '@posthorn/core'
import { type Clock, planOf, systemClock } from '@posthorn/core/driver'
import { fromUrl as kafka } from '@posthorn/kafka'
import { rabbitmq } from '@posthorn/rabbitmq'
import { idempotent, openKeeper, slots } from '@posthorn/reliability'
import { sqlite } from '@posthorn/sqlite'
import { conformance, type Harness } from '@posthorn/testkit/conformance'
import { afterAll } from 'vitest'
import { ensure } from '../../../scripts/brokers/lifecycle.ts'
import { removeTopics } from '../../kafka/test/topics.ts'
import { managementOf } from '../../rabbitmq/src/testing/management.ts'

const folder = mkdtempSync(join(tmpdir(), 'posthorn-patterns-'))
afterAll(() => rmSync(folder, { recursive: true }))
const store = (namespace: string): Adapter => sqlite({ path: join(folder, `${namespace}.db`) }) as Adapter

const stepMs = 5_000

interface HastenedClock extends Clock {
  advance(ms: number): Promise<void>
}

/** The machine's own time, which can be made to go fast: in steps, so that what falls due has been done before the next. */
function hastened(): HastenedClock {
  let ahead = 0
  const waiting = new Set<{ readonly at: number; readonly fire: () => void }>()
  const now = (): number => Date.now() + ahead
  return {
    now,
    after(ms, call, options) {
      const one = {
        at: now() + ms,
        fire() {
          cancel()
          call()
        },
      }
      const stop = systemClock.after(ms, one.fire, options)
      const cancel = (): void => {
        waiting.delete(one)
        stop()
      }
      waiting.add(one)
      return cancel
    },
    async advance(ms) {
      for (let left = ms; left > 0; left -= stepMs) {
        ahead += Math.min(left, stepMs)
        for (const one of [...waiting]) if (one.at <= now()) one.fire()
        await sleep(20)
      }
    },
  }
}

const withClock = (adapter: Adapter): Adapter => ({
  ...adapter,
  '~adapter': { ...planOf(adapter), clock: hastened() } as unknown as Adapter['~adapter'],
})

const common = {
  pass: (adapter, ms) => (planOf(adapter).clock as HastenedClock).advance(ms),
  parts: { openKeeper, inbox: idempotent, slots },
  chapters: ({ name }) => name === 'patterns',
} satisfies Partial<Harness>

conformance({ ...common, name: 'sqlite', adapter: (namespace) => withClock(store(namespace)) })

const rabbitmqUrl = await ensure('rabbitmq')
conformance({
  ...common,
  name: 'rabbitmq',
  adapter: () => withClock(rabbitmq({ url: rabbitmqUrl }) as Adapter),
  cleanUp: (namespace) => managementOf('rabbitmq').remove(`${namespace}:`),
  store,
})

const kafkaUrl = await ensure('kafka')
conformance({
  ...common,
  name: 'kafka',
  adapter: () => withClock(kafka(kafkaUrl) as Adapter),
  cleanUp: removeTopics,
  store,
})
