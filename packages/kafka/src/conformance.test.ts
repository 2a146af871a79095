import { ensure } from '@posthorn/brokers'
import type { Adapter } from '@posthorn/core'
import { conformance } from '@posthorn/testkit/conformance'
import { fromUrl } from './index.ts'

const url = await ensure('kafka')

conformance({ name: 'kafka', adapter: () => fromUrl(url) as Adapter })
