import { execFileSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'

// Decorators do not run from source: what a user builds is built here, and what came out of it is run.
const folder = mkdtempSync(join(import.meta.dirname, '..', '.decorator-'))
afterAll(() => rmSync(folder, { recursive: true }))

const source = (inject: boolean): string => `
import { Container${inject ? ', inject, injectable' : ''} } from 'inversify'
import { connectAdapter, type Broker, type Delivery, type Producer, topic } from '@posthorn/core'
import { memory } from '@posthorn/memory'
import { bindConsumers, consumer, type Handler, posthornModule, startConsumers, tokens } from '@posthorn/inversify'

const orders = topic<{ n: number }>('orders')
const done = Promise.withResolvers<void>()

@consumer(orders, { group: 'billing' })
${inject ? '@injectable()' : ''}
class Billing implements Handler<{ n: number }> {
  ${inject ? 'readonly producer: Producer\n  constructor(@inject(tokens.producer) producer: Producer) { this.producer = producer }' : ''}
  async handle({ body }: Delivery<{ n: number }>): Promise<void> {
    console.log('billed', body.n${inject ? ', this.producer.stats().sent' : ''})
    done.resolve()
  }
}

const broker = (await connectAdapter(memory(), { log: false })) as Broker
const container = new Container()
container.load(posthornModule(broker))
bindConsumers(container, Billing)
const running = await startConsumers(container)
await container.get(tokens.producer).send(orders, { n: 7 })
await done.promise
await running.stop()
`

describe('@consumer, built', () => {
  it.each([
    ['with the decorators of the language', [], 'billed 7\n'],
    ['with legacy decorators, beside those of inversify', ['--experimentalDecorators'], 'billed 7 1\n'],
  ] as const)('%s', (name, flags, out) => {
    const file = `${flags.length === 0 ? 'standard' : 'legacy'}.ts`
    writeFileSync(join(folder, file), source(flags.length > 0))
    const built = [
      '--ignoreConfig',
      '--target',
      'es2022',
      '--lib',
      'es2024,esnext.disposable',
      '--module',
      'nodenext',
      '--types',
      'node',
      '--skipLibCheck',
      '--noResolve',
    ]
    execFileSync(
      'tsc',
      [
        ...built,
        ...flags,
        '--rewriteRelativeImportExtensions',
        '--noCheck',
        '--outDir',
        join(folder, 'dist'),
        '--rootDir',
        folder,
        join(folder, file),
      ],
      { stdio: 'pipe' },
    )
    const ran = execFileSync(
      process.execPath,
      ['--conditions=posthorn:source', join(folder, 'dist', file.replace('.ts', '.js'))],
      { encoding: 'utf8' },
    )
    expect(`${name}: ${ran}`).toBe(`${name}: ${out}`)
  })
})
