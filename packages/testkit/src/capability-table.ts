// What each adapter claims: the capability table of the design as data. The suite holds every adapter against its row; changing a cell
// is a decision record in docs/decisions.

/** One adapter's claims. */
export interface CapabilityRow {
  readonly history: boolean
  readonly order: 'key' | 'process'
  readonly delay: 'any' | 'group' | 'none'
  readonly nackDelay: 'ordered' | 'unordered' | 'none'
  readonly cancel: boolean
  readonly priority: boolean
  readonly pattern: boolean
  readonly topics: boolean
  readonly filter: boolean
  readonly atomic: boolean
  readonly effects: boolean
  readonly transactional: boolean
  readonly partialFailure: boolean
  readonly lease: boolean
  readonly hold: boolean
  readonly counts: boolean
  readonly replay: boolean
  readonly query: boolean
}

/** By the name of the adapter. */
export const capabilityTable: Readonly<Record<string, CapabilityRow>> = {
  memory: {
    history: true,
    order: 'key',
    delay: 'any',
    nackDelay: 'ordered',
    cancel: true,
    priority: true,
    pattern: true,
    topics: true,
    filter: true,
    atomic: true,
    effects: true,
    transactional: true,
    partialFailure: false,
    lease: true,
    hold: false,
    counts: true,
    replay: true,
    query: true,
  },
  sqlite: {
    history: true,
    order: 'key',
    delay: 'any',
    nackDelay: 'ordered',
    cancel: true,
    priority: true,
    pattern: true,
    topics: true,
    filter: true,
    atomic: true,
    effects: true,
    transactional: true,
    partialFailure: false,
    lease: true,
    hold: false,
    counts: true,
    replay: true,
    query: true,
  },
  rabbitmq: {
    history: false,
    order: 'key',
    delay: 'any',
    nackDelay: 'none',
    cancel: false,
    priority: true,
    pattern: true,
    topics: true,
    filter: false,
    atomic: false,
    effects: false,
    transactional: false,
    partialFailure: true,
    lease: false,
    hold: true,
    counts: false,
    replay: false,
    query: false,
  },
  kafka: {
    history: true,
    order: 'key',
    delay: 'group',
    nackDelay: 'none',
    cancel: false,
    priority: false,
    pattern: true,
    topics: true,
    filter: false,
    atomic: true,
    effects: true,
    transactional: false,
    partialFailure: false,
    lease: false,
    hold: false,
    counts: false,
    replay: true,
    query: true,
  },
}
