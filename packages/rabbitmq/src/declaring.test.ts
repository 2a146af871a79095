import { ensure } from '@posthorn/brokers'
import type { GroupSpec } from '@posthorn/core/driver'
import type { ChannelModel } from 'amqplib'
import { expect, it, vi } from 'vitest'
import { fixtureOn } from './testing/fixture.ts'

const url = await ensure('rabbitmq')
const fixture = fixtureOn('rabbitmq', url)
const forever = new AbortController().signal

const groupsOf = (count: number): GroupSpec[] =>
  Array.from({ length: count }, (_, n) => ({ name: `g${n}`, order: 'none', filter: undefined }))

/** How many channels of a connection are open at once at most, from now on. */
function channelsOn(model: ChannelModel | undefined): { readonly most: () => number } {
  expect.assert(model !== undefined)
  const make = model.createChannel.bind(model)
  let [open, most] = [0, 0]
  vi.spyOn(model, 'createChannel').mockImplementation(async () => {
    const channel = await make()
    most = Math.max(most, ++open)
    channel.once('close', () => open--)
    return channel
  })
  return { most: () => most }
}

it('many groups of a topic are made on a few channels at once, each ready when the topic is', async () => {
  const driver = await fixture.connect()
  const topic = fixture.topic({ groups: groupsOf(40) })
  const channels = channelsOn(driver.client.sending)
  await driver.declare(topic, forever)
  expect(channels.most()).toBe(8)
  const [sent] = await driver.send([fixture.message(topic)], { signal: forever })
  expect(sent).toMatchObject({ ok: true })
  for (const group of ['g0', 'g39']) {
    const source = await fixture.open(driver, topic, { group })
    expect(await fixture.receive(source, 1)).toHaveLength(1)
    await source.close()
  }
})

it('beside much that is sent: what is missing is made on the connection that consumes, levels of the ladder some at once', async () => {
  const driver = await fixture.connect()
  const topic = fixture.topic()
  await driver.declare(topic, forever)
  await driver.send([fixture.message(topic)], { signal: forever })
  await fixture.open(driver, topic)
  const [sending, consuming] = [channelsOn(driver.client.sending), channelsOn(driver.client.consuming)]
  const [sent] = await driver.send([fixture.message(topic, { notBefore: Date.now() + 60_000 })], { signal: forever })
  expect(sent).toMatchObject({ ok: true })
  expect([sending.most(), consuming.most()]).toEqual([0, 8])
})

it('of many groups the one that cannot be made is named', async () => {
  const driver = await fixture.connect()
  const topic = fixture.topic({ groups: groupsOf(40) })
  await driver.declare({ ...topic, groups: [{ name: 'g7', order: 'key', filter: undefined }] }, forever)
  await expect(driver.declare(topic, forever)).rejects.toMatchObject({
    code: 'invalid',
    message: expect.stringMatching(new RegExp(`group g7 of topic ${topic.name}, exchange .*order=none.*order=key`)),
  })
  // The connection is as good as before.
  await driver.declare({ ...topic, groups: groupsOf(7) }, forever)
})
