import { join } from 'node:path'
import { defineConfig } from 'vitest/config'
import { neededBrokers } from './scripts/needed-brokers.ts'

const ofBrokers = Object.keys(neededBrokers).flatMap((name) => [
  `{packages,examples}/${name}/{src,test}/**/*.test.ts`,
  `examples/${name}/*.test.ts`,
])

export default defineConfig({
  test: {
    // First what needs nothing, files beside each other; then what talks to a broker, one file at a time.
    projects: [
      {
        extends: true,
        test: {
          name: 'alone',
          include: [
            '{packages,examples}/*/{src,test}/**/*.test.ts',
            '{scripts,bench}/**/*.test.ts',
            'examples/*/*.test.ts',
          ],
          exclude: ['**/node_modules/**', ...ofBrokers],
          sequence: { groupOrder: 0 },
        },
      },
      {
        extends: true,
        test: { name: 'brokers', include: ofBrokers, fileParallelism: false, sequence: { groupOrder: 1 } },
      },
    ],
    // Guards against waiting for ever, so generous that a busy machine does not meet them: processes of tests start ten times as slowly there.
    testTimeout: 90_000,
    hookTimeout: 120_000,
    // As the two above: a second, as it is by itself, a busy machine may need for one round trip.
    expect: { poll: { timeout: 15_000 } },
    env: {
      // Child processes and worker threads of the tests resolve our packages from source, too.
      NODE_OPTIONS: '--conditions=posthorn:source',
      // Tests start some hundreds of processes; what one has compiled the next need not. Node looks at the source before it trusts this.
      NODE_COMPILE_CACHE: join(import.meta.dirname, 'node_modules/.cache/compiled'),
    },
  },
  ssr: { resolve: { conditions: ['posthorn:source'] } },
})
