// Send middlewares, composed once per producer.
import { checkOptions } from '../checked.ts'
import { compose } from '../compose.ts'
import { MessagingError } from '../errors.ts'
import type { Next, Outgoing, SendExtension } from '../face/extending.ts'
import type { Receipt } from '../face/sending.ts'
import { postShape } from './dispatch.ts'

/** What stands behind the middlewares for one message. */
export type Innermost = (outgoing: Outgoing) => Promise<Receipt>

/** Travels with the message through the middlewares: a copy by `{ ...out, change }` keeps it. */
const carried = Symbol('posthorn.outgoing')
type Carrying = Outgoing & { readonly [carried]?: { readonly topic: string; readonly innermost: Innermost } }

const outgoingShape = { ...postShape, topic: () => undefined, body: () => undefined }

/** Runs a message through the middlewares, the first being outermost; undefined where there are none. */
export function chainOf(
  use: readonly SendExtension[],
): ((outgoing: Outgoing, innermost: Innermost) => Promise<Receipt>) | undefined {
  if (use.length === 0) return undefined
  const run: Next<Outgoing, Receipt> = compose(
    use.map((each) => each.send),
    async (outgoing) => {
      const call = (outgoing as Carrying)[carried]
      if (call === undefined)
        throw new MessagingError(
          'invalid',
          'a send middleware passed on a message of its own; pass on { ...out, changes }',
        )
      if (outgoing.topic !== call.topic)
        throw new MessagingError(
          'invalid',
          `a send middleware changed the topic from ${call.topic} to ${String(outgoing.topic)}; send to the other topic by a producer of your own`,
        )
      checkOptions('what a send middleware passed on', outgoing, outgoingShape)
      return call.innermost(outgoing)
    },
  )
  return async (outgoing, innermost) =>
    run({ ...outgoing, [carried]: { topic: outgoing.topic, innermost } } as Outgoing)
}
