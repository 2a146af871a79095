// Standard Schema (https://standardschema.dev): what zod, valibot and arktype have in common.
import { show } from './checked.ts'
import { describe, type Issue, MessagingError } from './errors.ts'
import type { AnySchema } from './face/messages.ts'

/**
 * What the schema makes of the value, or a rejection with its issues. Answers at once where the schema does, so that a body costs no
 * promise. `what` names the value in the error.
 */
export function validated(schema: AnySchema, value: unknown, what: string | (() => string)): unknown {
  let result: unknown
  try {
    result = schema['~standard'].validate(value)
  } catch (cause) {
    throw failed(cause, what)
  }
  if (result instanceof Promise)
    return result.then(
      (each) => outcome(each, what),
      (cause) => {
        throw failed(cause, what)
      },
    )
  return outcome(result, what)
}

function outcome(result: unknown, what: string | (() => string)): unknown {
  if (typeof result !== 'object' || result === null)
    throw new MessagingError(
      'invalid',
      `${named(what)} could not be checked: its schema answered ${show(result)}; a Standard Schema answers { value } or { issues }`,
    )
  const { issues, value } = result as { readonly issues?: readonly Issue[] | undefined; readonly value?: unknown }
  if (issues === undefined) return value
  if (!Array.isArray(issues) || issues.length === 0)
    throw new MessagingError('invalid', `${named(what)} is refused by its schema, which does not say why`)
  throw new MessagingError('invalid', `${named(what)} is refused by its schema: ${summary(issues)}`, { issues })
}

function failed(cause: unknown, what: string | (() => string)): MessagingError {
  return new MessagingError('invalid', `${named(what)} could not be checked: its schema failed: ${describe(cause)}`, {
    cause,
  })
}

function named(what: string | (() => string)): string {
  return typeof what === 'string' ? what : what()
}

/** Issues that an error's one line shows; all are in `issues`. */
const shown = 3

function summary(issues: readonly Issue[]): string {
  const lines = issues.slice(0, shown).map(({ path, message }) => {
    const at = (path ?? []).map((step) => String(typeof step === 'object' ? step.key : step)).join('.')
    return at === '' ? message : `${at}: ${message}`
  })
  if (issues.length > shown) lines.push(`and ${issues.length - shown} more`)
  return lines.join('; ')
}
