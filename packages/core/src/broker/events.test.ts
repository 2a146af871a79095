import { channel } from 'node:diagnostics_channel'
import { expect, test } from 'vitest'
import { manualClock } from '../../test/manual-clock.ts'
import { MessagingError } from '../errors.ts'
import type { Events } from '../face/operating.ts'
import { type EventBus, eventBus } from './events.ts'

const cut: Events['disconnected'] = { error: new MessagingError('unavailable', 'the line was cut') }
const told: readonly ((bus: EventBus) => void)[] = [
  (bus) => bus.emit('disconnected', cut),
  (bus) => bus.emit('connected', { afterMs: 120.4 }),
  (bus) => bus.emit('stalled', { topic: 'orders', group: 'billing', forMs: 60_000 }),
  (bus) =>
    bus.emit('dead-letter', {
      topic: 'orders',
      group: 'billing',
      id: 'x',
      reason: 'attempts',
      error: 'no\nsuch',
    } as never),
]

function rig(log?: (line: string) => void) {
  const lines: string[] = []
  const clock = manualClock()
  return { lines, clock, bus: eventBus('rig', clock, log ?? ((line) => void lines.push(line))) }
}

test('what nobody listens to is a line each: disconnected, connected, stalled, a dead letter', () => {
  const { lines, bus } = rig()
  for (const tell of told) tell(bus)
  bus.emit('sent', { id: 'x', topic: 'orders', ms: 1 })
  expect(lines).toEqual([
    'posthorn rig: disconnected: the line was cut',
    'posthorn rig: connected again after 120 ms',
    'posthorn rig: stalled: billing has handled nothing of orders for 60 s',
    'posthorn rig: dead letter: orders of billing x: attempts: no such',
  ])
})

test('who listens, by name or on the diagnostics channel, gets the event itself and no line is written', () => {
  const { lines, bus } = rig()
  const heard: unknown[] = []
  const off = bus.on('disconnected', (event) => heard.push(event))
  bus.emit('disconnected', cut)
  off()
  expect([heard, lines]).toEqual([[cut], []])
  const wire = channel('posthorn:sent')
  const published: unknown[] = []
  const note = (event: unknown): void => void published.push(event)
  expect(bus.heard('sent')).toBe(false)
  wire.subscribe(note)
  expect(bus.heard('sent')).toBe(true)
  bus.emit('sent', { id: 'x', topic: 'orders', ms: 1 })
  wire.unsubscribe(note)
  expect(published).toEqual([{ id: 'x', topic: 'orders', ms: 1 }])
  bus.emit('disconnected', cut)
  expect(lines).toHaveLength(1)
})

test('at most five lines in ten seconds, and the next says how many were left out', async () => {
  const { lines, clock, bus } = rig()
  for (let n = 0; n < 8; n++) bus.emit('disconnected', cut)
  expect(lines).toHaveLength(5)
  await clock.advance(10_001)
  bus.emit('disconnected', cut)
  expect(lines.slice(5)).toEqual([
    'posthorn rig: 3 more lines like the last were left out',
    'posthorn rig: disconnected: the line was cut',
  ])
})

test('log: false says nothing, and a log that throws harms nobody', () => {
  const silent = eventBus('rig', manualClock(), false)
  const throwing = rig(() => {
    throw new Error('the disk is full')
  }).bus
  for (const bus of [silent, throwing]) for (const tell of told) expect(() => tell(bus)).not.toThrow()
})
