import { setTimeout as sleep } from 'node:timers/promises'

/**
 * Asks until the answer is "nothing is missing". What is missing last, or the last error, is what the time-out says.
 * @returns the milliseconds that it took
 */
export const until = async (
  missing: () => Promise<string | undefined> | string | undefined,
  { withinMs, everyMs = 100 }: { withinMs: number; everyMs?: number },
): Promise<number> => {
  const begin = performance.now()
  for (;;) {
    const answer = await ask(missing)
    const ms = performance.now() - begin
    if (answer === undefined) return ms
    if (ms > withinMs) throw new Error(`not within ${Math.round(withinMs / 1000)} s: ${answer}`)
    await sleep(everyMs)
  }
}

/** For what no further waiting can mend: ends `until` at once. */
export class Hopeless extends Error {}

const ask = async (missing: () => Promise<string | undefined> | string | undefined): Promise<string | undefined> => {
  try {
    return await missing()
  } catch (error) {
    if (error instanceof Hopeless) throw error
    return error instanceof Error ? error.message : String(error)
  }
}
