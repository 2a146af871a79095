import { expect, test } from 'vitest'
import { connected, freshPath, message, never, texts, topicOf } from '../test/stage.ts'

test('query finds by id, by key and by both, wherever they lie, in the order of the log and each once', async () => {
  const driver = await connected({ path: freshPath(), synchronous: 'normal' })
  const topic = topicOf('t')
  await driver.declare(topic, never)
  // More than one turn looks through, and more hits than one turn gives.
  const count = 21_500
  const keyOf = (n: number): string => (n < 1_201 || n === count - 1 ? 'often' : `k${n}`)
  await driver.send(
    Array.from({ length: count }, (_, n) => message('t', `${n}`, { id: `i${n}`, key: keyOf(n) })),
    { signal: never },
  )
  // A copy to one group is no message of the topic.
  await driver.send([message('t', 'copy', { key: 'often', group: 'g' })], { signal: never })
  const found = async (where: { readonly id?: string; readonly key?: string }): Promise<string> => {
    const all = []
    const query = { id: undefined, key: undefined, from: undefined, to: undefined, ...where }
    for await (const each of driver.query?.(topic, query, never) ?? []) all.push(each)
    return texts(all)
  }
  const first = Array.from({ length: 1_201 }, (_, n) => n)
  expect(await found({ key: 'often' })).toBe([...first, count - 1].join(' '))
  expect(await found({ id: `i${count - 2}` })).toBe(`${count - 2}`)
  expect(await found({ id: 'i7', key: 'often' })).toBe('7')
  expect(await found({ id: 'i7', key: 'k8' })).toBe('')
  expect((await found({})).split(' ')).toHaveLength(count)
  await driver.close()
})
