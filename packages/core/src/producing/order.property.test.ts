import fc from 'fast-check'
import { expect, test } from 'vitest'
import { settled } from '../../test/manual-clock.ts'
import { type Flight, sendingRig } from '../../test/sending-rig.ts'
import { isMessagingError, MessagingError } from '../errors.ts'
import { topic } from '../topic.ts'
import { createProducer } from './producer.ts'

// What a driver may do with a batch, good and bad.
type Behaviour =
  | { readonly kind: 'ok' | 'unavailable' | 'lost' | 'refused'; readonly afterMs: number }
  | { readonly kind: 'mixed'; readonly afterMs: number; readonly fates: readonly number[] }
  | { readonly kind: 'hang' | 'deaf' | 'throws' | 'short' }

const afterMs = fc.integer({ min: 0, max: 4_000 })
const behaviour: fc.Arbitrary<Behaviour> = fc.oneof(
  { weight: 5, arbitrary: fc.record({ kind: fc.constantFrom('ok' as const), afterMs }) },
  {
    weight: 4,
    arbitrary: fc.record({
      kind: fc.constantFrom('unavailable' as const, 'lost' as const, 'refused' as const),
      afterMs,
    }),
  },
  {
    weight: 3,
    arbitrary: fc.record({
      kind: fc.constant('mixed' as const),
      afterMs,
      fates: fc.array(fc.nat(3), { minLength: 1, maxLength: 4 }),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      kind: fc.constantFrom('hang' as const, 'deaf' as const, 'throws' as const, 'short' as const),
    }),
  },
)
/** Once in so many times and one. */
const seldom = <T>(than: number, arbitrary: fc.Arbitrary<T>): fc.Arbitrary<T | undefined> =>
  fc.oneof({ weight: than, arbitrary: fc.constant(undefined) }, { weight: 1, arbitrary })

const step = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({
      op: fc.constant('send' as const),
      key: fc.option(fc.nat(3), { nil: undefined }),
      size: fc.integer({ min: 0, max: 40 }),
      abortMs: seldom(5, fc.integer({ min: 0, max: 12_000 })),
      atomic: seldom(8, fc.array(fc.nat(3), { minLength: 1, maxLength: 3 })),
    }),
  },
  { weight: 3, arbitrary: fc.record({ op: fc.constant('advance' as const), ms: fc.integer({ min: 1, max: 3_000 }) }) },
)
const scenario = fc.record({
  inFlight: fc.integer({ min: 1, max: 4 }),
  maxBatch: fc.integer({ min: 3, max: 6 }),
  partialFailure: fc.boolean(),
  buffer: fc.integer({ min: 1, max: 12 }),
  lingerMs: fc.constantFrom(0, 0, 50),
  behaviours: fc.array(behaviour, { minLength: 1, maxLength: 12 }),
  steps: fc.array(step, { minLength: 1, maxLength: 40 }),
})

const timeoutMs = 10_000
/** Longest that a driver which ignores an abort is waited for. */
const graceMs = 2_000

interface Sent {
  readonly id: string
  readonly seq: number
  readonly key: string | undefined
  readonly since: number
  settledAt: number | undefined
  outcome: 'ok' | 'failed' | 'unknown' | undefined
}

const error = {
  unavailable: () => new MessagingError('unavailable', 'away'),
  lost: () => new MessagingError('unavailable', 'lost after the write', { outcome: 'unknown' }),
  refused: () => new MessagingError('too-large', 'refused'),
}

test('whatever the driver does: order per key, an answer by the deadline, a bounded buffer, true outcomes', async () => {
  await fc.assert(fc.asyncProperty(scenario, run), {
    seed: Number(process.env['POSTHORN_SEED'] ?? 20261121),
    numRuns: 3_000,
  })
}, 120_000)

async function run(plan: typeof scenario extends fc.Arbitrary<infer T> ? T : never): Promise<void> {
  const rig = sendingRig({
    traits: { inFlight: plan.inFlight, maxBatch: plan.maxBatch, partialFailure: plan.partialFailure },
  })
  const { clock } = rig
  const faults: string[] = []
  const sent = new Map<string, Sent>()
  const maybeWritten = new Set<string>()
  const confirmed = new Set<string>()
  /** Under way at the driver, and since when nobody there is waited for. */
  const out = new Map<Flight, { abortedAt: number | undefined }>()
  let turn = 0
  let healed = false

  function check(flight: Flight): void {
    const ids = flight.messages.map(({ id }) => id)
    const mine = new Set(ids)
    if (flight.messages.length > plan.maxBatch) faults.push('a batch over maxBatch')
    const busy = [...out.values()].filter(
      ({ abortedAt }) => abortedAt === undefined || clock.now() < abortedAt + graceMs,
    )
    if (busy.length >= plan.inFlight) faults.push('more batches under way than inFlight')
    const last = new Map<string, number>()
    for (const { id, key } of flight.messages) {
      const own = sent.get(id) as Sent
      if (own.settledAt !== undefined) faults.push(`${id} was sent after it was settled`)
      if (key === undefined) continue
      for (const other of sent.values()) {
        if (plan.partialFailure && flight.control.atomic !== true && other.key === key)
          if (other.seq > own.seq && confirmed.has(other.id)) faults.push(`${id} came behind ${other.id} of key ${key}`)
        if (other.key === key && other.seq < own.seq && other.settledAt === undefined && !mine.has(other.id))
          faults.push(`${id} overtook ${other.id} of key ${key}`)
      }
      for (const [each, { abortedAt }] of out)
        if (abortedAt === undefined || clock.now() < abortedAt + graceMs)
          if (each.messages.some((message) => message.key === key))
            faults.push(`key ${key} is in two batches under way`)
      if (own.seq < (last.get(key) ?? -1)) faults.push(`${id} is out of order in its batch`)
      last.set(key, own.seq)
    }
    const open = new Set([...out.keys(), flight].flatMap(({ messages }) => messages.map(({ id }) => id)))
    const unsettled = [...open].filter((id) => sent.get(id)?.settledAt === undefined).length
    if (unsettled > Math.max(plan.buffer, flight.control.atomic === true ? 4 : 0))
      faults.push('more under way than the buffer holds')
  }

  rig.auto((flight) => {
    check(flight)
    const state: { abortedAt: number | undefined } = { abortedAt: undefined }
    out.set(flight, state)
    const does = healed
      ? ({ kind: 'ok', afterMs: 1 } as const)
      : (plan.behaviours[turn++ % plan.behaviours.length] as Behaviour)
    const written = (): void => {
      for (const { id } of flight.messages) maybeWritten.add(id)
    }
    const finish = (end: () => void): void => {
      if (!out.delete(flight)) return
      end()
    }
    flight.control.signal.addEventListener('abort', () => {
      // One signal serves many batches, as long as none of them is aborted.
      if (!out.has(flight)) return
      state.abortedAt = clock.now()
      if (does.kind === 'deaf') return
      written()
      clock.after(500, () => finish(() => flight.fail(error.lost())))
    })
    const atomic = flight.control.atomic === true
    switch (does.kind) {
      case 'ok':
        written()
        clock.after(does.afterMs, () =>
          finish(() => {
            for (const { id } of flight.messages) confirmed.add(id)
            flight.ok()
          }),
        )
        break
      case 'lost':
        written()
        clock.after(does.afterMs, () => finish(() => flight.fail(error.lost())))
        break
      case 'unavailable':
        clock.after(does.afterMs, () => finish(() => flight.fail(error.unavailable())))
        break
      case 'refused':
        clock.after(does.afterMs, () => finish(() => flight.fail(error.refused())))
        break
      case 'mixed': {
        const fate = (n: number): number => does.fates[(atomic ? 0 : n) % does.fates.length] as number
        flight.messages.forEach(({ id }, n) => {
          if (fate(n) === 0 || fate(n) === 2) maybeWritten.add(id)
        })
        clock.after(does.afterMs, () =>
          finish(() => {
            flight.answer(
              flight.messages.map(({ id }, n) => {
                if (fate(n) === 0) confirmed.add(id)
                if (fate(n) === 0) return { ok: true, position: id }
                return {
                  ok: false,
                  error: [error.unavailable, error.unavailable, error.lost, error.refused][
                    fate(n)
                  ]?.() as MessagingError,
                }
              }),
            )
          }),
        )
        break
      }
      case 'throws':
        written()
        finish(() => flight.fail(new TypeError('a bug') as unknown as MessagingError))
        break
      case 'short':
        written()
        finish(() => flight.answer([]))
        break
      default:
        written()
    }
  })

  const producer = createProducer(rig.runtime, {
    buffer: plan.buffer,
    lingerMs: plan.lingerMs,
    sendTimeoutMs: timeoutMs,
  })
  const t = topic<string>('t')
  let seq = 0
  const begin = (key: number | undefined): Sent => {
    const own: Sent = {
      id: `m${seq}`,
      seq,
      key: key === undefined ? undefined : `k${key}`,
      since: clock.now(),
      settledAt: undefined,
      outcome: undefined,
    }
    seq++
    sent.set(own.id, own)
    return own
  }
  const end = (own: Sent, failure: unknown, position: string | undefined): void => {
    own.settledAt = clock.now()
    if (failure === undefined) {
      own.outcome = 'ok'
      if (position !== own.id) faults.push(`${own.id} got the answer of ${position}`)
      if (!confirmed.has(own.id)) faults.push(`${own.id} resolved and nobody confirmed it`)
      return
    }
    if (!isMessagingError(failure)) {
      faults.push(`${own.id} rejected with something else`)
      return
    }
    own.outcome = failure.outcome
    if (failure.outcome === 'failed' && maybeWritten.has(own.id))
      faults.push(`${own.id} is called failed (${failure.code}) and may be there`)
    if (own.settledAt - own.since > timeoutMs)
      faults.push(`${own.id} settled ${own.settledAt - own.since} ms after its send`)
  }
  const abortedBy = (ms: number | undefined): AbortSignal | undefined => {
    if (ms === undefined) return undefined
    const controller = new AbortController()
    clock.after(ms, () => controller.abort())
    return controller.signal
  }

  for (const each of plan.steps) {
    if (each.op === 'advance') {
      await clock.advance(each.ms)
      continue
    }
    if (each.atomic !== undefined) {
      const own = each.atomic.map((key) => begin(key))
      void producer
        .sendBatch(
          t,
          own.map(({ id, key }) => ({ body: 'x', id, key })),
          { atomic: true, signal: abortedBy(each.abortMs) },
        )
        .then((results) => {
          results.forEach((result, n) => {
            const message = own[n] as Sent
            if (result.ok) end(message, undefined, result.receipt.position)
            else end(message, result.error, undefined)
          })
          if (new Set(own.map(({ outcome }) => outcome)).size > 1) faults.push('an atomic batch has two fates')
        })
      await settled()
      continue
    }
    const own = begin(each.key)
    producer.send(t, 'x'.repeat(each.size), { id: own.id, key: own.key, signal: abortedBy(each.abortMs) }).then(
      (receipt) => end(own, undefined, receipt.position),
      (failure: unknown) => end(own, failure, undefined),
    )
  }
  let flushed = false
  void producer.flush().then(() => {
    flushed = true
  })
  await clock.advance(timeoutMs + 1)
  const hanging = [...sent.values()].filter(({ settledAt }) => settledAt === undefined)
  expect(hanging.map(({ id }) => id)).toEqual([])
  // Nothing is stuck: with the driver well again every key, the buffer and all places under way are free.
  healed = true
  await clock.advance(graceMs)
  const probes = [0, 1, 2, 3, undefined].map((key) => begin(key))
  const group = [0, 1, 2, 3].slice(0, plan.maxBatch).map((key) => begin(key))
  const answers = [
    ...probes.map((own) =>
      producer.send(t, 'x', { id: own.id, key: own.key }).then(({ position }) => {
        end(own, undefined, position)
        return true
      }),
    ),
    producer
      .sendBatch(
        t,
        group.map(({ id, key }) => ({ body: 'x', id, key })),
        { atomic: true },
      )
      .then((results) => {
        results.forEach((result, n) => {
          end(group[n] as Sent, result.ok ? undefined : result.error, result.ok ? result.receipt.position : undefined)
        })
        return results.every(({ ok }) => ok)
      }),
  ]
  let well = false
  void Promise.all(answers).then((all) => {
    well = all.every(Boolean)
  })
  await clock.advance(plan.lingerMs * 2 + 50)
  expect(well).toBe(true)
  expect(faults).toEqual([])
  expect(flushed).toBe(true)
  const { pending, failed, unknown, sent: done } = producer.stats()
  expect({ pending, settled: done + failed + unknown }).toEqual({ pending: 0, settled: sent.size })
}
