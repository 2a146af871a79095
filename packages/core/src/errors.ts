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
  return isBranded(error, brand) && (codes.length === 0 || codes.includes((error as MessagingError).code as C))
}

/** Whether an error bears a mark of ours. What was thrown may be anything, a proxy that lets nobody look included. */
export function isBranded(error: unknown, mark: symbol): boolean {
  try {
    return typeof error === 'object' && error !== null && (error as Record<symbol, unknown>)[mark] === true
  } catch {
    return false
  }
}

/** Most that is shown of an object that was thrown: characters, values, and entries of one list or object. */
const shown = { text: 200, values: 40, entries: 10 } as const
const secret = /pass|secret|token|auth|credential|cookie|key$/i

/** The beginning of what is in an object, as JSON; what may be a secret by its name is starred. */
function content(error: object): string {
  let left: number = shown.values
  const text = JSON.stringify(error, (name, value: unknown) => {
    if (secret.test(name)) return '***'
    if (left-- <= 0) return undefined
    if (typeof value === 'string') return value.slice(0, shown.text)
    if (typeof value === 'bigint') return `${value}n`
    if (typeof value !== 'object' || value === null) return value
    return Array.isArray(value)
      ? value.slice(0, shown.entries)
      : Object.fromEntries(Object.entries(value).slice(0, shown.entries))
  })
  return text.length > shown.text ? `${text.slice(0, shown.text)}…` : text
}

/** One line of what went wrong, whatever was thrown. */
export function describe(error: unknown): string {
  if (error === undefined) return 'undefined was thrown'
  try {
    if (error instanceof Error) return error.message === '' ? error.name : `${error.name}: ${error.message}`
    const text = String(error)
    return typeof error === 'object' && text === '[object Object]' ? content(error as object) : text
  } catch {
    return 'a value that cannot be shown was thrown'
  }
}
