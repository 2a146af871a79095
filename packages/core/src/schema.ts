// Standard Schema (https://standardschema.dev): what zod, valibot and arktype have in common.
import { type Issue, MessagingError } from './errors.ts'
import type { AnySchema } from './face/messages.ts'

/**
 * What the schema makes of the value, or a rejection with its issues. Answers at once where the schema does, so that a body costs no
 * promise. `what` names the value in the error.
 */
export function validated(schema: AnySchema, value: unknown, what: string | (() => string)): unknown {
  const result = schema['~standard'].validate(value)
  if (result instanceof Promise) return result.then((each) => outcome(each, what))
  return outcome(result, what)
}

function outcome(result: unknown, what: string | (() => string)): unknown {
  const { issues, value } = result as { readonly issues?: readonly Issue[] | undefined; readonly value?: unknown }
  if (issues === undefined) return value
  throw new MessagingError(
    'invalid',
    `${typeof what === 'string' ? what : what()} is refused by its schema: ${summary(issues)}`,
    { issues },
  )
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
