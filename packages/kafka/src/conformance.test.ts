import { ensure } from '@posthorn/brokers'
import type { Adapter } from '@posthorn/core'
import { conformance } from '@posthorn/testkit/conformance'
import { removeTopics } from '../test/topics.ts'
import { fromUrl } from './index.ts'

const url = await ensure('kafka')

for (const client of ['kafkajs', 'platformatic'])
  conformance({ name: 'kafka', adapter: () => fromUrl(`${url}?client=${client}`) as Adapter, cleanUp: removeTopics })
