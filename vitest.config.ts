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
    testTimeout: 30_000,
    hookTimeout: 60_000,
    // Child processes and worker threads of the tests resolve our packages from source, too.
    env: { NODE_OPTIONS: '--conditions=posthorn:source' },
  },
  ssr: { resolve: { conditions: ['posthorn:source'] } },
})
