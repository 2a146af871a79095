import { decodeBody } from '../body.ts'
import type { Arrival, Letter } from '../driver/envelope.ts'
import type { DeadLetter } from '../face/operating.ts'
import { topicParts } from '../topic.ts'
import type { Runtime } from './runtime.ts'

/** A dead letter as a user sees it. The body is decoded when it is read; undefined where that fails, so that `raw` is never lost with it. */
export function deadLetterOf(
  runtime: Pick<Runtime, 'topicNamed'>,
  message: Omit<Arrival, 'token' | 'deliveryCount' | 'position' | 'fence' | 'lost' | 'foreign'>,
  letter: Letter,
  group: string | undefined,
): DeadLetter {
  let body: { readonly value: unknown } | undefined
  return {
    id: message.id,
    topic: message.topic,
    group,
    key: message.key,
    headers: message.headers,
    get body() {
      body ??= { value: decoded(runtime, message) }
      return body.value
    },
    raw: message.body,
    reason: letter.reason,
    error: letter.error,
    attempts: letter.attempts,
    at: new Date(letter.at),
    history: message.history.map((each) => ({ attempt: each.attempt, at: new Date(each.at), error: each.error })),
  }
}

function decoded(runtime: Pick<Runtime, 'topicNamed'>, message: Parameters<typeof decodeBody>[1]): unknown {
  const topic = runtime.topicNamed(message.topic)
  try {
    const value = decodeBody(topic === undefined ? undefined : topicParts(topic), message)
    // A codec that waits (a schema registry) cannot answer a property; `raw` has it.
    if (value instanceof Promise) {
      value.catch(() => {})
      return undefined
    }
    return value
  } catch {
    return undefined
  }
}
