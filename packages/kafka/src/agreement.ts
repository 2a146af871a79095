// What all members of a group must say the same. It is kept with the group's offsets, so it holds for as long as the group is known.
import { createHash } from 'node:crypto'
import { MessagingError } from '@posthorn/core'
import type { Subscription } from '@posthorn/core/driver'

/** How a group reads a topic. */
export interface Agreement {
  readonly order: string
  readonly filter: string
}

/** What a member says otherwise than the group. */
export interface Disagreement {
  readonly property: keyof Agreement
  readonly held: string
  readonly asked: string
}

/** There is little room beside an offset. */
const mostBytes = 400

/** What a subscription says; of a long filter its digest. */
export function agreementOf({ order, filter }: Pick<Subscription, 'order' | 'filter'>): Agreement {
  const text = JSON.stringify(filter ?? null)
  const fits = Buffer.byteLength(text) <= mostBytes
  return { order, filter: fits ? text : `sha256:${createHash('sha256').update(text).digest('hex')}` }
}

/** As one text, to be kept. */
export function recordOf({ order, filter }: Agreement): string {
  return `${order} ${filter}`
}

/** Reads what was kept; undefined where nothing was. */
export function recorded(text: string): Agreement | undefined {
  const cut = text.indexOf(' ')
  return cut < 0 ? undefined : { order: text.slice(0, cut), filter: text.slice(cut + 1) }
}

/** The first property that two say differently. */
export function difference(theirs: Agreement, mine: Agreement): Disagreement | undefined {
  for (const property of ['order', 'filter'] as const) {
    const [held, asked] = [theirs[property], mine[property]]
    if (held !== asked) return { property, held, asked }
  }
  return undefined
}

/** The refusal as its member throws it. */
export function disagrees(group: string, { property, held, asked }: Disagreement): MessagingError {
  return new MessagingError(
    'invalid',
    `the group ${group} is read with ${property} ${held} and asked for with ${property} ${asked} here; make them agree, or use another group. ` +
      `To change it, stop all members and forget what the group has read: kafka-consumer-groups.sh --delete --group ${group}`,
  )
}
