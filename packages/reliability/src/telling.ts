import { describe, type Subscribed } from '@posthorn/core/driver'

/** What a user gave to be told by, as we call it: a fault in it fails no message and stops no extension; a line says so. */
export function telling<A extends readonly unknown[]>(
  { say }: Pick<Subscribed, 'say'>,
  what: string,
  call: ((...args: A) => unknown) | undefined,
): (...args: A) => void {
  const threw = (error: unknown): void => say(`${what} threw: ${describe(error)}`)
  return (...args) => {
    try {
      const answer = call?.(...args)
      if (answer instanceof Promise) answer.catch(threw)
    } catch (error) {
      threw(error)
    }
  }
}
