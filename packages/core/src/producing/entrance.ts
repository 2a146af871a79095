import type { Declared, Runtime } from '../broker/runtime.ts'
import { describe, isMessagingError, MessagingError } from '../errors.ts'
import type { AnyTopic } from '../face/messages.ts'
import type { Transaction } from '../face/stores.ts'
import { type TopicParts, topicParts } from '../topic.ts'
import type { Batcher } from './batcher.ts'
import { type List, listOf, push, type Slot, shift } from './slot.ts'

/** A topic as the producers of one broker know it. */
export interface Door {
  readonly topic: AnyTopic
  readonly parts: TopicParts
  /** While the topic is there, the door is no wait. */
  declared: Declared | undefined
  declaring: boolean
  /** In the order of their `send`: until the topic is declared, and behind one whose codec still works. */
  readonly waiting: List
}

/** Where messages of a topic wait before their turn begins, so that a first declaration or a slow codec reorders nothing. */
export interface Entrance {
  of(topic: AnyTopic): Door
  enter(door: Door, slot: Slot): void
  /** The slot has its message now. */
  encoded(door: Door, slot: Slot): void
  /** The topic is declared, or this rejects. Inside the transaction at first: a store with one writer would wait for itself. */
  declared(door: Door, signal: AbortSignal, tx: Transaction): Promise<void>
  /** Makes the topic known without waiting: what is held now is sent when the broker is there. */
  announce(door: Door): void
}

/** One per broker. */
export function entrance(runtime: Runtime, batcher: Batcher): Entrance {
  const doors = new WeakMap<AnyTopic, Door>()
  const announced = new WeakSet<Door>()
  let lastTopic: AnyTopic | undefined
  let last: Door | undefined

  function made(topic: AnyTopic): Door {
    const door: Door = {
      topic,
      parts: topicParts(topic),
      declared: undefined,
      declaring: false,
      waiting: listOf(() => drain(door)),
    }
    doors.set(topic, door)
    return door
  }
  function drain(door: Door): void {
    if (!isOpen(door)) {
      if (door.waiting.head !== undefined) declare(door)
      return
    }
    for (
      let slot = door.waiting.head as Slot | undefined;
      slot?.message !== undefined;
      slot = door.waiting.head as Slot | undefined
    ) {
      shift(door.waiting)
      batcher.add(slot)
    }
  }
  function declare(door: Door): void {
    if (isOpen(door) || door.declaring) return
    door.declaring = true
    // Not for as long as somebody waits here: consumers wait for the same declaration.
    runtime.declare(door.topic, runtime.closing).then(
      (declared) => {
        door.declaring = false
        door.declared = declared
        drain(door)
      },
      (error: unknown) => {
        const reason = declareError(door, error)
        const waiting: Slot[] = []
        for (let node = door.waiting.head; node !== undefined; node = node.next) waiting.push(node as Slot)
        for (const slot of waiting) batcher.settle(slot, reason)
        door.declaring = false
        // Settling calls back; what was sent by then tries anew.
        drain(door)
      },
    )
  }

  function announce(door: Door): void {
    if (isOpen(door) || announced.has(door)) return
    announced.add(door)
    runtime.declare(door.topic, runtime.closing).then(
      (declared) => {
        announced.delete(door)
        door.declared = declared
        drain(door)
      },
      () => announced.delete(door),
    )
  }

  return {
    of(topic) {
      if (topic === lastTopic && last !== undefined) return last
      // `get` of what is no object answers undefined; `made` then says what it is.
      last = doors.get(topic) ?? made(topic)
      lastTopic = topic
      return last
    },
    enter(door, slot) {
      if (slot.settled) return
      if (isOpen(door) && door.waiting.head === undefined && slot.message !== undefined) {
        batcher.add(slot)
        return
      }
      push(door.waiting, slot)
      declare(door)
    },
    encoded(door, slot) {
      if (!slot.settled) drain(door)
    },
    async declared(door, signal, tx) {
      if (isOpen(door)) return
      await runtime.declare(door.topic, signal, tx)
      announce(door)
    },
    announce,
  }
}

const isOpen = ({ declared }: Door): boolean => declared?.there === true

function declareError({ parts }: Door, error: unknown): MessagingError {
  if (isMessagingError(error)) return error
  return new MessagingError('internal', `topic ${parts.name} could not be declared: ${describe(error)}`, {
    cause: error,
  })
}
