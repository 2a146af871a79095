// Groups on classic queues: the chapters of the suite that what a queue is made of can change.
import { ensure } from '@posthorn/brokers'
import { type Adapter, connectAdapter, topic } from '@posthorn/core'
import { conformance } from '@posthorn/testkit/conformance'
import { describe, expect, it } from 'vitest'
import { rabbitmq } from './index.ts'
import { fixtureOn } from './testing/fixture.ts'
import { managementOf } from './testing/management.ts'

const url = await ensure('rabbitmq')
const fixture = fixtureOn('rabbitmq', url)
const adapter = () => rabbitmq({ url, queueType: 'classic' }) as Adapter
const chapters = ['settle', 'order', 'shelf', 'sending', 'groups and order']

describe('on classic queues', () =>
  conformance({
    name: 'rabbitmq',
    adapter,
    cleanUp: (namespace) => managementOf('rabbitmq').remove(`${namespace}:`),
    chapters: ({ name }) => chapters.includes(name),
  }))

it('refuses a priority where the queues were made without, and says how they are made with', async () => {
  const broker = await connectAdapter(adapter(), { namespace: fixture.namespace, log: false })
  fixture.after(() => broker.close())
  const plain = topic<number>('plain', { groups: ['g'] })
  await expect(broker.producer().send(plain, 1, { priority: 9 })).rejects.toMatchObject({
    code: 'unsupported',
    message: expect.stringContaining("topic('plain', { priority })"),
  })
  expect((await broker.producer().send(plain, 2)).held).toBe('broker')
})
