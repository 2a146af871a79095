import { ensure } from '@posthorn/brokers'
import type { Adapter } from '@posthorn/core'
import { conformance } from '@posthorn/testkit/conformance'
import { rabbitmq } from './index.ts'
import { managementOf } from './testing/management.ts'

const url = await ensure('rabbitmq')

conformance({
  name: 'rabbitmq',
  adapter: () => rabbitmq({ url }) as Adapter,
  cleanUp: (namespace) => managementOf('rabbitmq').remove(`${namespace}:`),
})
