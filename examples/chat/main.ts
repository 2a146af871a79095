// Chat: what is said in a room arrives in order for everybody in it, while rooms go on beside each other.
import { mkdtempSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { connect, topic } from 'posthorn'

const broker = await connect({
  url: process.env['BROKER_URL'] ?? `sqlite:${join(mkdtempSync(join(tmpdir(), 'chat-')), 'chat.db')}`,
  log: false,
})
const listeners = ['ada', 'grace']
// The room is the key: order is kept within it, and only there.
const said = topic<{ room: string; who: string; text: string }>(`chat.${Date.now().toString(36)}`, {
  key: (message) => message.room,
  groups: listeners.map((name) => ({ name, order: 'key' as const })),
})
const talk = {
  tea: ['is there tea?', 'yes', 'with milk?', 'without', 'good'],
  code: ['it compiles', 'does it run?', 'it ran', 'and now?', 'ship it'],
}
const total = Object.values(talk).flat().length

/** Somebody listens to all rooms, several at a time; resolves with what was heard in each. */
async function listen(name: string): Promise<Readonly<Record<string, readonly string[]>>> {
  const heard: Record<string, string[]> = {}
  let count = 0
  const all = Promise.withResolvers<void>()
  await broker.consume(said, { group: name, order: 'key', concurrency: 4 }, async ({ body: { room, text } }) => {
    // Thinking takes a moment, another one each time: order does not rest on luck.
    await new Promise((resolve) => setTimeout(resolve, (text.length * 7) % 20))
    heard[room] = [...(heard[room] ?? []), text]
    if (++count === total) all.resolve()
  })
  await all.promise
  return heard
}

const hearing = Promise.all(listeners.map(listen))
const producer = broker.producer()
for (let turn = 0; turn < 5; turn++)
  for (const [room, texts] of Object.entries(talk))
    await producer.send(said, { room, who: turn % 2 === 0 ? 'ada' : 'grace', text: texts[turn] ?? '' })

for (const [at, heard] of (await hearing).entries())
  for (const [room, texts] of Object.entries(talk)) {
    const inOrder = JSON.stringify(heard[room]) === JSON.stringify(texts)
    console.log(`${listeners[at]} in ${room}: ${heard[room]?.join(' | ')} ${inOrder ? '(in order)' : '(OUT OF ORDER)'}`)
  }
await broker.close()
