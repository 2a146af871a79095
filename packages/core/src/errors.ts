/** What a failure is, for a `switch`; the first three may pass by themselves. */
export type ErrorCode =
  | 'unavailable'
  | 'timeout'
  | 'throttled'
  | 'remote'
  | 'aborted'
  | 'closed'
  | 'unauthorized'
  | 'not-found'
  | 'invalid'
  | 'too-large'
  | 'unroutable'
  | 'unsupported'
  | 'stale'
  | 'codec'
  | 'internal'

/** Each code with whether trying again may help; docs/reference/errors.md is held against this table. */
export const errorCodes: Readonly<Record<ErrorCode, { readonly retryable: boolean }>> = {
  unavailable: { retryable: true },
  timeout: { retryable: true },
  throttled: { retryable: true },
  remote: { retryable: false },
  aborted: { retryable: false },
  closed: { retryable: false },
  unauthorized: { retryable: false },
  'not-found': { retryable: false },
  invalid: { retryable: false },
  'too-large': { retryable: false },
  unroutable: { retryable: false },
  unsupported: { retryable: false },
  stale: { retryable: false },
  codec: { retryable: false },
  internal: { retryable: false },
}

/** One thing that a schema found. */
export interface Issue {
  readonly message: string
  readonly path?: readonly (PropertyKey | { readonly key: PropertyKey })[] | undefined
}

const brand = Symbol.for('posthorn.MessagingError')

/** The one error of the house: what happened, to what, and what to do next. */
export class MessagingError extends Error {
  override readonly name = 'MessagingError'
  readonly code: ErrorCode
  readonly retryable: boolean
  /** Of a send: it did not happen, or nobody knows. */
  readonly outcome: 'failed' | 'unknown'
  /** Of `invalid`: what the schema said; else empty. */
  readonly issues: readonly Issue[]

  constructor(
    code: ErrorCode,
    message: string,
    options: {
      readonly outcome?: 'failed' | 'unknown' | undefined
      readonly cause?: unknown
      readonly issues?: readonly Issue[] | undefined
    } = {},
  ) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause })
    this.code = code
    this.retryable = errorCodes[code]?.retryable ?? false
    this.outcome = options.outcome ?? 'failed'
    this.issues = options.issues ?? []
    Object.defineProperty(this, brand, { value: true })
  }

  /** With its message, which JSON leaves out of an error: outcomes are values, and values are logged. */
  toJSON(): Pick<MessagingError, 'name' | 'code' | 'message' | 'retryable' | 'outcome' | 'issues'> {
    const { name, code, message, retryable, outcome, issues } = this
    return { name, code, message, retryable, outcome, issues }
  }
}

/** Whether this is ours, of any copy of the package, and (where codes are given) of one of these codes. */
export function isMessagingError<C extends ErrorCode = ErrorCode>(
  error: unknown,
  ...codes: readonly C[]
): error is MessagingError & { readonly code: C } {
  if (typeof error !== 'object' || error === null || (error as Record<symbol, unknown>)[brand] !== true) return false
  return codes.length === 0 || codes.includes((error as MessagingError).code as C)
}

/** One line of what went wrong, whatever was thrown. */
export function describe(error: unknown): string {
  if (error instanceof Error) return error.message === '' ? error.name : `${error.name}: ${error.message}`
  if (error === undefined) return 'undefined was thrown'
  try {
    return String(error)
  } catch {
    return 'a value that cannot be shown was thrown'
  }
}
