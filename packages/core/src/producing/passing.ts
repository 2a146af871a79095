import type { MessagingError } from '../errors.ts'
import type { Outgoing } from '../face/extending.ts'
import type { PostOptions, Receipt, SendOptions } from '../face/sending.ts'
import type { chainOf, Innermost } from './chain.ts'
import type { Door } from './entrance.ts'
import { type Extras, messagingError, type Outbound } from './outbound.ts'

/** A producer's messages on their way through its middlewares, if it has any. */
export interface Passing {
  /** Sends one message; throws what can be refused at once, and else calls one of the two. */
  pass(
    door: Door,
    body: unknown,
    asked: SendOptions | undefined,
    extras: Extras,
    resolve: (receipt: Receipt) => void,
    reject: (error: MessagingError) => void,
  ): void
  /** Runs one message through the middlewares to an end of the caller's own. */
  through(door: Door, body: unknown, asked: PostOptions | undefined, innermost: Innermost): Promise<Receipt>
  /** Counts a refusal. */
  refuse(error: unknown): MessagingError
}

/** Puts middlewares before the way out. */
export function passing(out: Outbound, chain: ReturnType<typeof chainOf>): Passing {
  const { counts, flush } = out
  /** One message, through the middlewares if there are any. Throws what can be refused at once. */
  function pass(
    door: Door,
    body: unknown,
    asked: SendOptions | undefined,
    extras: Extras,
    resolve: (receipt: Receipt) => void,
    reject: (error: MessagingError) => void,
  ): void {
    if (chain === undefined) {
      out.go(door, body, asked, undefined, extras, resolve, reject)
      return
    }
    const outgoing = outgoingOf(door, body, asked)
    const epoch = flush.begin()
    // A failure is counted once: by the way out, or here if no middleware let the message come so far.
    let told = false
    chain(outgoing, (given) => {
      const { id, key } = given
      return new Promise((done, failed) => {
        told = true
        try {
          out.go(door, given.body, given, { id, key }, extras, done, failed)
        } catch (error) {
          failed(refuse(error))
        }
      })
    }).then(
      (receipt) => {
        flush.end(epoch)
        resolve(receipt)
      },
      (error) => {
        if (!told) out.failed(outgoing.topic, outgoing.id, messagingError(error))
        flush.end(epoch)
        reject(error)
      },
    )
  }
  function outgoingOf(door: Door, body: unknown, asked: PostOptions | undefined): Outgoing {
    return {
      id: out.idOf(asked?.id),
      topic: door.parts.name,
      key: out.keyOf(door, body, asked?.key),
      tag: asked?.tag,
      headers: asked?.headers ?? {},
      body,
      expiresInMs: asked?.expiresInMs,
      priority: asked?.priority,
      partition: asked?.partition,
      delayMs: asked?.delayMs,
      deliverAt: asked?.deliverAt,
    }
  }
  function refuse(error: unknown): MessagingError {
    counts.failed++
    return messagingError(error)
  }
  return {
    pass,
    refuse,
    async through(door, body, asked, innermost) {
      const outgoing = outgoingOf(door, body, asked)
      return chain === undefined ? innermost(outgoing) : chain(outgoing, innermost)
    },
  }
}
