import { type AbortedTransaction, visibility } from '../clients/aborted.ts'
import { byTopic } from '../clients/grouping.ts'
import type { FetchAnswer, FetchRequest } from '../clients/port.ts'
import { faultOf as anyFault, type Fault } from '../errors.ts'
import type { Api, FaultOfCode } from './api.ts'
import type { Codecs } from './codecs.ts'
import { Reading } from './reading.ts'
import { readBatches } from './record-batch.ts'
import { Writing } from './writing.ts'

/** Kafka 2.3 and later. */
export const fetchApi: Api = {
  key: 1,
  version: 11,
  name: 'Fetch',
  waits: true,
  throttleMs: (answer) => answer.readInt32BE(0),
}

/** The body of a request, of no session. */
export function fetchRequest(request: FetchRequest): Buffer {
  const out = new Writing(256 + 64 * request.partitions.length)
  out.int32(-1)
  out.int32(request.maxWaitMs)
  out.int32(1)
  out.int32(request.maxBytes)
  out.int8(request.committedOnly ? 1 : 0)
  out.int32(0)
  out.int32(-1)
  const topics = byTopic(request.partitions, (part) => part)
  out.int32(topics.length)
  for (const { topic, partitions } of topics) {
    out.text(topic)
    out.int32(partitions.length)
    for (const { partition, offset, maxBytes } of partitions) {
      out.int32(partition)
      out.int32(-1)
      out.int64(offset)
      out.int64(-1)
      out.int32(maxBytes)
    }
  }
  out.int32(0)
  out.text('')
  return out.written()
}

/** What an answer says of one partition. */
interface Fetched {
  readonly topic: string
  readonly partition: number
  readonly fault: Fault | undefined
  readonly highWatermark: number
  /** -1 where the broker does not say. */
  readonly lastStable: number
  readonly aborted: readonly AbortedTransaction[]
  /** Still packed. */
  readonly batches: Buffer
}

/** The answers of a response, without aborted and control records. What cannot be read of one partition is its own fault. */
export async function fetchAnswers(
  bytes: Buffer,
  { partitions, committedOnly }: FetchRequest,
  faultOf: FaultOfCode,
  codecs: Codecs,
): Promise<readonly FetchAnswer[]> {
  const asked = new Map(partitions.map((each) => [`${each.partition}/${each.topic}`, each.offset]))
  const answers: FetchAnswer[] = []
  for (const { topic, partition, fault, highWatermark, lastStable, aborted, batches } of partsOf(bytes, faultOf)) {
    const from = asked.get(`${partition}/${topic}`) ?? 0
    const end = committedOnly && lastStable >= 0 ? Math.min(lastStable, highWatermark) : highWatermark
    try {
      if (fault !== undefined) throw fault
      const { records, next } = await readBatches(batches, from, visibility(committedOnly ? aborted : []), codecs)
      answers.push({ topic, partition, fault, records, next, end })
    } catch (error) {
      answers.push({ topic, partition, fault: anyFault(error), records: [], next: from, end: from })
    }
  }
  return answers
}

function partsOf(bytes: Buffer, faultOf: FaultOfCode): readonly Fetched[] {
  const data = new Reading(bytes)
  data.skip(4)
  const fault = faultOf(data.int16())
  if (fault !== undefined) throw fault
  data.skip(4)
  const topics = data.list(() => {
    const topic = data.text() ?? ''
    return data.list((): Fetched => {
      const partition = data.int32()
      const failed = faultOf(data.int16())
      const highWatermark = data.int64()
      const lastStable = data.int64()
      data.skip(8)
      const aborted = data.list(() => ({ producer: data.id(), first: data.int64() }))
      data.skip(4)
      const size = Math.max(0, data.int32())
      const batches = bytes.subarray(data.at, data.at + size)
      data.skip(size)
      return { topic, partition, fault: failed, highWatermark, lastStable, aborted, batches }
    })
  })
  return topics.flat()
}
