import {
  ack,
  type ConsumeExtension,
  type Delivery,
  MessagingError,
  reject,
  type Transaction,
  type Verdict,
} from '@posthorn/core'
import { callable, checkOptions, extension, object, oneOf, type Rule, type Shape } from '@posthorn/core/driver'

/** What becomes of a message that the guard does not let through: acknowledged without effect, dead-lettered, or tried again later. */
export type Refused = 'skip' | 'reject' | 'retry'

/** A name; whether SQL takes it as it is, `plain` says. */
export const nameRule: Rule = (value) => (typeof value === 'string' && value !== '' ? undefined : 'a name')
const guardShape = {
  table: nameRule,
  key: nameRule,
  of: callable,
  otherwise: oneOf('skip', 'reject', 'retry'),
} satisfies Shape
const newerShape = { ...guardShape, version: nameRule } satisfies Shape
const transitionsShape = { ...guardShape, state: nameRule, allowed: object } satisfies Shape

/** The row of the user's own table that a message is about. */
interface Guarded {
  /** The table's name. */
  readonly table: string
  /** Column of the row's key; default `id`. */
  readonly key?: string | undefined
}

/**
 * Applies a message only if its version is newer than its row's, and notes it there, in the handler's own transaction: what comes late, twice or out of
 * order has no effect. A row that is not there yet is the handler's to make. Needs `guarantee: 'exactly-once-effects'`.
 */
export function newerOnly(
  options: Guarded & {
    /** Column of the version; default `version`. */
    readonly version?: string | undefined
    readonly of: (delivery: Delivery) => { readonly key: string; readonly version: number }
    readonly otherwise?: Refused | undefined
  },
): ConsumeExtension {
  checkOptions('newerOnly()', options, newerShape, ['table', 'of'])
  const { table, key = 'id', version = 'version', of, otherwise = 'skip' } = options
  const [t, k, v] = [plain(table), plain(key), plain(version)]
  const move = `UPDATE ${t} SET ${v} = $1 WHERE ${k} = $2 AND ${v} < $1 RETURNING 1 AS moved`
  return guard(
    'newerOnly',
    async (delivery, tx) => {
      const { key, version } = of(delivery)
      if ((await tx.query(move, [version, key])).rows.length > 0) return undefined
      return (await missing(tx, t, k, key)) ? undefined : `version ${version} of ${key} is not newer than its row's`
    },
    otherwise,
    'a message whose version is not newer than its row’s has no effect',
  )
}

/**
 * Applies a message only if its row may go from its present state to the message's, and moves it there, in the handler's own transaction. A row that is
 * not there yet is the handler's to make. Needs `guarantee: 'exactly-once-effects'`.
 */
export function transitions<State extends string>(
  options: Guarded & {
    /** Column of the state; default `state`. */
    readonly state?: string | undefined
    /** From each state, where to. */
    readonly allowed: { readonly [From in State]: readonly NoInfer<State>[] }
    readonly of: (delivery: Delivery) => { readonly key: string; readonly to: NoInfer<State> }
    readonly otherwise?: Refused | undefined
  },
): ConsumeExtension {
  checkOptions('transitions()', options, transitionsShape, ['table', 'allowed', 'of'])
  const { table, key = 'id', state = 'state', allowed, of, otherwise = 'reject' } = options
  const [t, k, s] = [plain(table), plain(key), plain(state)]
  const sources = (to: State): State[] => (Object.keys(allowed) as State[]).filter((from) => allowed[from].includes(to))
  return guard(
    'transitions',
    async (delivery, tx) => {
      const { key, to } = of(delivery)
      const from = sources(to)
      const among = from.map((_, i) => `$${i + 3}`).join(', ')
      const move = `UPDATE ${t} SET ${s} = $1 WHERE ${k} = $2 AND ${s} IN (${among}) RETURNING 1 AS moved`
      if (from.length > 0 && (await tx.query(move, [to, key, ...from])).rows.length > 0) return undefined
      return (await missing(tx, t, k, key)) ? undefined : `${key} may not become ${to} from where it is`
    },
    otherwise,
    'a message whose transition is not allowed has no effect',
  )
}

function guard(
  name: string,
  refusal: (delivery: Delivery, tx: Transaction) => Promise<string | undefined>,
  otherwise: Refused,
  detail: string,
): ConsumeExtension {
  return extension(name, (next) => next, {
    // Inside `idempotent`, whose transaction it needs.
    rank: 5,
    bind({ guarantee }) {
      if (guarantee !== 'exactly-once-effects')
        throw new MessagingError(
          'unsupported',
          `${name}() moves a row in the handler's transaction; say guarantee: 'exactly-once-effects'`,
        )
      return (next) =>
        async (delivery): Promise<Verdict> => {
          // A replay handles again on purpose, without a transaction.
          if (delivery.replay) return next(delivery)
          if (delivery.tx === undefined) throw new MessagingError('internal', `${name}(): there is no transaction`)
          const why = await refusal(delivery, delivery.tx)
          if (why === undefined) return next(delivery)
          if (otherwise === 'skip') return ack()
          if (otherwise === 'reject') return reject(why)
          throw new MessagingError('stale', `message ${delivery.id}: ${why}; it comes again`)
        }
    },
    promises: () => [
      { promise: name, how: 'store', detail, cost: 'one or two statements in the handler’s transaction' },
    ],
  })
}

async function missing(tx: Transaction, table: string, column: string, key: string): Promise<boolean> {
  return (await tx.query(`SELECT 1 AS found FROM ${table} WHERE ${column} = $1`, [key])).rows.length === 0
}

/** A name goes into the statement as it is, so it may be nothing but a name. */
export function plain(name: string): string {
  if (/^[A-Za-z_][A-Za-z0-9_]*(\.[A-Za-z_][A-Za-z0-9_]*)?$/.test(name)) return name
  throw new MessagingError('invalid', `${JSON.stringify(name)} is no plain SQL name; give letters, digits and _`)
}
