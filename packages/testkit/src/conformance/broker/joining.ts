import assert from 'node:assert/strict'
import { bytes, topic } from '@posthorn/core'
import { broker, calls } from '../broker-stage.ts'
import type { Chapter } from '../scenario.ts'

/** Messages of others. */
export const joining: Chapter = {
  name: 'foreign messages',
  layer: 'broker',
  scenarios: [
    {
      id: 'joining.read',
      says: 'a message that another client wrote is handled: its body, its headers, an id that is the same on redelivery',
      needs: ['a foreign client'],
      run: async (stage) => {
        const foreign = stage.harness.foreign
        assert.ok(foreign !== undefined)
        const on = await foreign.prepare(stage.namespace)
        const legacy = topic<Uint8Array>(stage.name('legacy'), {
          codec: bytes,
          on: { [stage.harness.name]: on } as never,
        })
        const one = await broker(stage)
        const seen = calls<Uint8Array>(stage, (_, nth) => {
          if (nth === 1) throw new Error('once more')
          return undefined
        })
        await one.consume(legacy, { group: 'g', order: 'none' }, seen.handler)
        await foreign.publish(on, Buffer.from('hello'), { colour: 'blue' })
        await seen.reached(2)
        const [first, second] = seen.all
        assert.equal(Buffer.from(first?.body ?? []).toString(), 'hello')
        assert.equal(first?.headers['colour'], 'blue')
        assert.equal(first?.id, second?.id)
        assert.ok((first?.id ?? '') !== '')
      },
    },
  ],
}
