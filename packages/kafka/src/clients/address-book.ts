import { Fault } from '../errors.ts'
import type { Endpoint } from '../options.ts'

/** Where the nodes of a cluster are, as far as we know. */
export interface AddressBook {
  learn(id: number, endpoint: Endpoint): void
  of(id: number): Endpoint
  /** Each once, those that did not answer last. */
  all(): readonly Endpoint[]
  silent(endpoint: Endpoint): void
}

/** Begins with the addresses that the user gave. */
export function addressBook(given: readonly Endpoint[]): AddressBook {
  const nodes = new Map<number, Endpoint>()
  const silences = new Map<string, number>()
  let count = 0
  return {
    learn: (id, endpoint) => void nodes.set(id, endpoint),
    of(id) {
      const endpoint = nodes.get(id)
      if (endpoint === undefined) throw new Fault('refused', 'CONNECTION', `node ${id} has no known address`)
      return endpoint
    },
    all() {
      const each = new Map([...nodes.values(), ...given].map((endpoint) => [nameOf(endpoint), endpoint]))
      const since = ([name]: readonly [string, Endpoint]): number => silences.get(name) ?? 0
      return [...each].sort((a, b) => since(a) - since(b)).map(([, endpoint]) => endpoint)
    },
    silent: (endpoint) => void silences.set(nameOf(endpoint), ++count),
  }
}

/** As users write it. */
export function nameOf({ host, port }: Endpoint): string {
  return `${host}:${port}`
}
