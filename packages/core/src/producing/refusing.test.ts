import { expect, test } from 'vitest'
import { producing, refusal, t } from '../../test/producing.ts'
import { topic } from '../topic.ts'
import { createProducer } from './producer.ts'

test('what is wrong is refused at once and named', async () => {
  const { rig, producer } = producing({ traits: { priority: false } })
  const refused = (options: object, on = t): Promise<string> => refusal(producer.send(on, 1, options))
  const cases: [object, RegExp][] = [
    [{ delay: 5 }, /invalid send\(\): there is no option "delay"; did you mean delayMs\?/],
    [{ headers: 'x' }, /headers is "x"; give an object/],
    [{ headers: { 'ph-id': 'x' } }, /header "ph-id" is a name of ours/],
    [{ headers: { 'Content-Type': 'x' } }, /is a name of ours/],
    [{ headers: { a: 5 } }, /header "a" is 5; give a string/],
    [{ headers: { 'a\r\nb': 'x' } }, /has a name that not every broker carries/],
    [{ headers: JSON.parse('{"__proto__":"x"}') }, /has a name that not every broker carries/],
    [{ headers: { a: 'x\0' } }, /has a value with NUL/],
    [{ headers: { a: '\ud800' } }, /has a value with NUL or half a surrogate pair/],
    [{ headers: { a: 'x'.repeat(32_768) } }, /too-large .* 1 headers of 32769 characters/],
    [{ headers: Object.fromEntries(Array.from({ length: 101 }, (_, n) => [`h${n}`, ''])) }, /too-large .* 101 headers/],
    [{ id: '' }, /id is ""; give text of 1 to 255 characters/],
    [{ id: 'x'.repeat(256) }, /text of 1 to 255 characters/],
    [{ id: 'ä'.repeat(128) }, /text of at most 255 bytes/],
    [{ id: 5 }, /id is 5/],
    [{ key: 'x\0' }, /text without NUL/],
    [{ key: '' }, /key is ""/],
    [{ tag: 'a\nb' }, /tag is "a\\nb"; give text without control characters/],
    [{ delayMs: Number.NaN }, /delayMs is NaN; give ms from 0/],
    [{ delayMs: -1 }, /delayMs is -1/],
    [{ delayMs: 2 ** 53 }, /delayMs is 9007199254740992/],
    [{ delayMs: 1, deliverAt: new Date() }, /both delayMs and deliverAt/],
    [{ deliverAt: new Date(Number.NaN) }, /deliverAt is an invalid Date/],
    [{ deliverAt: new Date(8.64e15) }, /deliverAt is a Date; give a time within the next ten years/],
    [{ expiresInMs: 0 }, /expiresInMs is 0/],
    [{ priority: 10 }, /priority is 10; give a whole number from 0 to 9/],
    [{ priority: 1 }, /unsupported rig has no priorities/],
    [{ partition: 8 }, /partition is 8; give a whole number from 0 to 7/],
    [{ tx: {} }, /tx is an object; give what runs inside your open transaction/],
    [{ tx: { query() {}, totalCount: 3 } }, /the open transaction itself/],
    [{ signal: {} }, /signal is an object; give an AbortSignal/],
    [[], /its options are an array; give an object/],
  ]
  for (const [options, text] of cases) expect(await refused(options)).toMatch(text)
  expect(await refused({}, 'orders' as never)).toMatch(/invalid "orders" is no topic; make one by topic/)
  expect(await refused({}, null as never)).toMatch(/null is no topic/)
  expect(await refused({}, { name: 'x' } as never)).toMatch(/an object is no topic/)
  const throwing = topic<null>('throwing', { key: (body) => (body as unknown as { x: string }).x })
  expect(await refusal(producer.send(throwing, null))).toMatch(
    /invalid topic throwing: its key function failed on a body/,
  )
  const odd = topic<unknown>('odd', { key: () => 5 as unknown as string })
  expect(await refusal(producer.send(odd, 1))).toMatch(/what its key function returned is 5/)
  expect(await refusal(producer.send(topic<unknown>('big'), 'x'.repeat(1_048_575)))).toMatch(/too-large the body of/)
  expect(rig.flights).toEqual([])
  expect(producer.stats()).toMatchObject({ failed: cases.length + 6, sent: 0, pending: 0 })
})

test('the largest body is raised by the producer, as far as the broker goes', async () => {
  const { rig } = producing()
  rig.auto((flight) => flight.ok())
  const larger = createProducer(rig.runtime, { maxBytes: 2_000_000 })
  expect((await larger.send(topic<unknown>('big'), 'x'.repeat(1_048_575))).held).toBe('broker')
  expect(() => createProducer(rig.runtime, { maxBytes: 10_000_001 })).toThrow(
    /maxBytes: 10000001.*at most 10000000 bytes/,
  )
})

test('a producer is made of right options', () => {
  const { rig } = producing()
  const made = (options: unknown) => (): unknown => createProducer(rig.runtime, options as object)
  expect(made({ bufer: 5 })).toThrow('producer(): there is no option "bufer"; did you mean buffer?')
  expect(made({ buffer: 0 })).toThrow('buffer is 0; give a whole number from 1')
  expect(made({ sendTimeoutMs: Infinity })).toThrow('sendTimeoutMs is Infinity; give ms')
  expect(made({ use: [{ consume: () => {} }] })).toThrow(
    'use is an array; give a list whose item 0 is an extension with send',
  )
  expect(made({ spool: true })).toThrow(
    "producer({ spool: true }) on rig needs a store; give connect() one, such as store: 'sqlite:./data/app.db'",
  )
})

test('a closed broker refuses', async () => {
  const { rig, producer } = producing()
  rig.close()
  for (const call of [
    producer.send(t, 1),
    producer.sendBatch(t, [{ body: 1 }]),
    producer.cancel({ id: 'x', topic: 't' }),
    producer.sendHalf(t, 1, async () => {}),
  ])
    expect(await refusal(call)).toMatch(/^closed /)
  producer.post(t, 1)
  expect(producer.stats()).toMatchObject({ posted: 0, failed: 2 })
})
