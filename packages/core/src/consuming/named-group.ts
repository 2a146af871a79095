import type { GroupSpec } from '../driver/seam.ts'
import { MessagingError } from '../errors.ts'
import type { Filter, Ordering } from '../face/messages.ts'

/**
 * A topic that names a group says for all its members, and for its senders, how the group reads. A member that says otherwise is refused before anything
 * is made: on the broker it would meet a group that was declared as the topic says.
 */
export function checkNamedGroup(
  call: string,
  topic: string,
  named: GroupSpec,
  asked: { readonly order?: Ordering | undefined; readonly filter?: Filter | undefined },
): void {
  if (asked.order !== undefined && asked.order !== named.order)
    throw differs(call, topic, named.name, {
      has: `order '${named.order}'`,
      asked: `order '${asked.order}'`,
      mend: `order: '${asked.order}'`,
    })
  const filter = JSON.stringify(asked.filter)
  if (filter !== undefined && filter !== JSON.stringify(named.filter))
    throw differs(call, topic, named.name, {
      has: named.filter === undefined ? 'no filter' : `filter ${JSON.stringify(named.filter)}`,
      asked: `filter ${filter}`,
      mend: `filter: ${filter}`,
    })
}

interface Difference {
  readonly has: string
  readonly asked: string
  readonly mend: string
}

function differs(call: string, topic: string, group: string, { has, asked, mend }: Difference): MessagingError {
  return new MessagingError(
    'invalid',
    `${call}(): the topic ${topic} has ${has} for its group ${group}, and ${asked} is asked for here; say it where the topic is made, for all who send and read: groups: [{ name: '${group}', ${mend} }]`,
  )
}
