import type { Dispatch, Shelf, TopicSpec } from '@posthorn/core/driver'
import type { KafkaRecord } from './clients/port.ts'
import type { ClusterMap } from './cluster.ts'
import { arrivalOf } from './convert.ts'
import { messagingError } from './errors.ts'
import type { Names } from './names.ts'
import { scan } from './scan.ts'
import { edges } from './starting.ts'

/** A letter's place on its shelf: the shelf is compacted by it, so that any letter can be taken away alone. */
export function letterKey({ id, generation }: Pick<Dispatch, 'id' | 'generation'>): string {
  return `${generation}:${id}`
}

/** Settings of a shelf's topic: nothing leaves it but what is removed. */
export const shelfSettings: Readonly<Record<string, string>> = { 'cleanup.policy': 'compact' }

/** What it needs. */
export interface ShelfContext {
  readonly cluster: ClusterMap
  readonly names: Names
  /** Sends records to one partition; resolves when all are held. */
  readonly write: (topic: string, records: readonly KafkaRecord[], signal: AbortSignal) => Promise<void>
  readonly now: () => number
}

/** The shelf of a topic and group: a compacted topic of one partition; a removal is a tombstone. */
export function shelf(spec: TopicSpec, group: string | undefined, { cluster, names, write, now }: ShelfContext): Shelf {
  const topic = names.dead(spec.name, group)
  const at = { topic, partition: 0 }
  return {
    async *list(signal) {
      try {
        if (!(await cluster.exists(topic))) return
        const [from] = await edges(cluster, [at], 'beginning')
        const [to] = await edges(cluster, [at], 'end')
        if (from === undefined || to === undefined) return
        // Twice over the log, so that what is held at once are keys, not letters: first which offset of each key counts.
        const latest = new Map<string, number>()
        for await (const { key, value, offset } of scan(cluster, at, from, to, signal)) {
          const name = keyOf(key)
          if (value === null) latest.delete(name)
          else latest.set(name, offset)
        }
        for await (const record of scan(cluster, at, from, to, signal)) {
          const name = keyOf(record.key)
          if (latest.get(name) !== record.offset) continue
          const {
            letter,
            group: _,
            notBefore: __,
            ...message
          } = arrivalOf(record, { topic: spec.name, kafkaTopic: topic, partition: 0 }, undefined, true)
          if (letter !== undefined) yield { token: name, message, letter, group }
        }
      } catch (error) {
        signal.throwIfAborted()
        throw messagingError(error, `the dead letters of ${spec.name} could not be read`)
      }
    },
    async remove(tokens, signal) {
      if (tokens.length === 0) return
      const timestamp = now()
      const records = tokens.map(
        (token): KafkaRecord => ({
          key: Buffer.from(token as string, 'utf8'),
          value: null,
          headers: {},
          timestamp,
        }),
      )
      await write(topic, records, signal)
    },
  }
}

function keyOf(key: Uint8Array | null): string {
  return key === null ? '' : Buffer.from(key.buffer, key.byteOffset, key.byteLength).toString('utf8')
}
