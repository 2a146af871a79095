import { MessagingError } from '@posthorn/core'

/** The name by which a member keeps its place in a group while its process starts again. */
export interface Instance {
  readonly id: string
  /** Another process has joined by this name: to join again would throw that one out in turn. */
  lost(): MessagingError
  free(): void
}

/**
 * Gives out instances under the name of this process: its first consumer of a group has that name, further ones a number after it, in the order in
 * which they open. Undefined where the process has none.
 */
export function instances(own: string | undefined): (group: string) => Instance | undefined {
  const taken = new Set<string>()
  const lost = new Set<string>()
  return (group) => {
    if (own === undefined) return undefined
    let id = own
    for (let n = 2; taken.has(`${id} ${group}`); n++) id = `${own}-${n}`
    const key = `${id} ${group}`
    const twice = (): MessagingError =>
      new MessagingError(
        'invalid',
        `another process has joined the consumer group ${group} by the instance id ${id}; give each process an instanceId of its own`,
      )
    if (lost.has(key)) throw twice()
    taken.add(key)
    let held = true
    return {
      id,
      lost() {
        lost.add(key)
        return twice()
      },
      free() {
        // Once: by now another one may have it.
        if (held) taken.delete(key)
        held = false
      },
    }
  }
}
