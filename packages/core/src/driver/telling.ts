import { describe } from '../errors.ts'

/** What a user gave to be told by, as we call it: a fault in it fails nothing of ours, nor ends the process by a promise of its own; a line says so. */
export function telling<A extends readonly unknown[]>(
  say: (line: string) => void,
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
