// The brokers of one test run: started for it, and of these only what it started stopped again.
import { ensure, givenUrl, status, stop } from './brokers/lifecycle.ts'

const runs = (name: string): boolean => status(name).some(({ state }) => state !== 'stopped')

/** Brokers that a run needs. */
export interface BrokerSet {
  /** What could not be started, one entry each. */
  readonly started: Promise<readonly string[]>
  /** Ends what this set has started; what ran before goes on. */
  stop(): Promise<void>
}

/** Starts these brokers one after the other, in the background; one that runs already, or that the environment names, is used as it is. `later` are left to the tests. */
export const brokerSet = (names: readonly string[], later: readonly string[] = []): BrokerSet => {
  const own = [...names, ...later].filter((name) => givenUrl(name) === undefined && !runs(name))
  const startAll = async (): Promise<readonly string[]> => {
    const findings: string[] = []
    for (const name of names) {
      const began = performance.now()
      await ensure(name)
        .then(() =>
          console.log(
            `ok     ${`broker ${name}`.padEnd(22)} ${((performance.now() - began) / 1000).toFixed(1).padStart(5)} s`,
          ),
        )
        .catch((error: unknown) => findings.push(error instanceof Error ? error.message : String(error)))
    }
    return findings
  }
  const started = startAll()
  return {
    started,
    stop: async () => {
      await started
      await Promise.all(own.map((name) => stop(name)))
    },
  }
}
