import type { Broker, MessageRef, Producer, SendOptions, Topic } from '@posthorn/core'
import { isMessagingError } from '@posthorn/core'
import type { Intent, Outcome } from './entries.ts'
import { fingerprint } from './fingerprint.ts'
import { place, type Run, type RunBody, runGroups } from './run-state.ts'

const delayMs = 500
const cancelMs = 2_000

/** Who sends. */
export interface Sender {
  readonly broker: Broker
  readonly producer: Producer
  readonly orders: Topic<RunBody>
}

/** Sends one batch, all at once, each written down before. */
export async function sendBatch(run: Run, sender: Sender, n: number): Promise<void> {
  const from = n * run.batch
  const planned = Array.from({ length: Math.min(run.batch, run.messages - from) }, (_, i) => plan(run, from + i))
  await Promise.all(planned.map(({ intent }) => run.ledger.intent(intent)))
  await Promise.all(planned.map((each) => sendOne(run, sender, each)))
}

interface Planned {
  readonly intent: Intent & { readonly groups: readonly string[] }
  readonly body: RunBody
  readonly options: SendOptions
}

function plan(run: Run, n: number): Planned {
  // One in five is of a course of its own; they go round, and each key sees them all.
  const course = n % 5 === 0 ? (run.courses[(n / 5) % run.courses.length] ?? 'plain') : 'plain'
  const key = `k${n % run.keys}`
  // Between sends with and without a transaction no order is claimed.
  const seq = course === 'committed' || course === 'rolled back' ? undefined : n
  const id = `${run.name}-${n}`
  const body = { key, number: n, course }
  const tag = n % 3 === 0 ? 'paid' : 'open'
  const headers = { n: String(n) }
  const wait = course === 'delayed' ? delayMs : course === 'cancelled' ? cancelMs : undefined
  const due = wait === undefined ? undefined : run.ledger.now() + wait
  if (course === 'cancelled' && due !== undefined) run.lastDue = due
  const hash = fingerprint({ body: JSON.stringify(body), key, tag, headers })
  const groups = runGroups.filter((group) => group !== 'paid' || tag === 'paid')
  return {
    intent: { id, topic: run.name, key, seq, due, hash, groups, letter: course === 'rejected' ? 'rejected' : 'none' },
    body,
    options: { id, tag, headers, delayMs: wait },
  }
}

async function sendOne(run: Run, sender: Sender, { intent, body, options }: Planned): Promise<void> {
  const { id, groups } = intent
  const ref: MessageRef = { id, topic: run.name }
  let outcome: Outcome = 'ok'
  try {
    await send(sender, body, options)
  } catch (error) {
    outcome = isMessagingError(error) ? error.outcome : 'rolled-back'
  }
  run.ledger.outcome(id, outcome)
  if (outcome !== 'ok') return
  if (body.course === 'cancelled') {
    const answer = await sender.producer.cancel(ref).catch(() => 'unknown' as const)
    if (answer !== 'too-late') {
      run.ledger.outcome(id, answer === 'cancelled' ? 'cancelled' : 'cancel-unknown')
      return
    }
  }
  for (const group of groups) if (!run.done.has(place(group, id))) run.wanted.add(place(group, id))
}

async function send({ broker, producer, orders }: Sender, body: RunBody, options: SendOptions): Promise<void> {
  if (body.course !== 'committed' && body.course !== 'rolled back') {
    await producer.send(orders, body, options)
    return
  }
  await broker.store.transaction(async (tx) => {
    await producer.send(orders, body, { ...options, tx })
    if (body.course === 'rolled back') throw new Error('the run rolls it back')
  })
}
