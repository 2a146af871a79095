import type { Adapter } from '@posthorn/core'
import { type Dispatch, MessagingError, type SendResult } from '@posthorn/core/driver'
import type { DefectName } from '../defects/defects.ts'
import { but } from '../defects/place.ts'
import type { faceDefects } from './face-defects.ts'
import { changedAdapter } from './outcome.ts'

/** An adapter as if its broker kept nothing for groups that come later: a message that reaches no group is unroutable. */
export function withoutHistory(adapter: Adapter): Adapter {
  const changed = changedAdapter(adapter, (plan) => ({
    ...plan,
    traits: { ...plan.traits, history: false },
    async connect(context) {
      const driver = await plan.connect(context)
      const groups = new Map<string, number>()
      const isRoutable = ({ topic }: Dispatch): boolean => groups.get(topic) !== 0
      return but(driver, {
        declare(spec, signal) {
          if ('groups' in spec) groups.set(spec.name, Math.max(groups.get(spec.name) ?? 0, spec.groups.length))
          return driver.declare(spec, signal)
        },
        async send(messages, options) {
          const routable = messages.filter(isRoutable)
          const results = routable.length === 0 ? [] : [...(await driver.send(routable, options))]
          return messages.map((message): SendResult => {
            if (isRoutable(message)) return results.shift() as SendResult
            const error = new MessagingError('unroutable', `no group reads ${message.topic}, and nothing is kept here`)
            return { ok: false, error }
          })
        },
      })
    },
  }))
  return { ...changed, capabilities: { ...changed.capabilities, replay: false, query: false } }
}

/** Found only where nothing is kept for groups that come later: by which scenario, which defect of the driver or of the face. */
export const foundWithoutHistory = {
  'send.nobody-to-route-to': 'failed-as-ok',
  'send.partly-unroutable': 'failed-as-ok',
  'sending.rule-1-unroutable': 'failed-as-ok',
  'grouping.rule-22-more-is-refused': 'takes-unsupported',
} as const satisfies Readonly<Record<string, DefectName | keyof typeof faceDefects>>
