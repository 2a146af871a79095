// A small service in a process of its own: sends, handles, closes, and must then end by itself.
import { connectAdapter, topic } from '@posthorn/core'
import { kafka } from '../src/index.ts'

const [brokers = '', client = '', namespace = ''] = process.argv.slice(2)
const broker = await connectAdapter(kafka({ brokers, client: client as 'kafkajs' | 'platformatic' }), {
  namespace,
  log: false,
})
const work = topic<{ n: number }>('work', { groups: ['g'] })
const handled = new Promise<number>((resolve) => {
  void broker.consume(work, { group: 'g' }, async ({ body }) => resolve(body.n))
})
await broker.producer().send(work, { n: 7 })
console.log(`handled ${await handled}`)
await broker.close()
