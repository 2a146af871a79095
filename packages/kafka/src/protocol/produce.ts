import { byTopic } from '../clients/grouping.ts'
import type { ProduceAnswer, ProducePart, ProduceRequest } from '../clients/port.ts'
import { Fault } from '../errors.ts'
import type { Api, FaultOfCode } from './api.ts'
import { type Codecs, compressionNumber } from './codecs.ts'
import { Reading } from './reading.ts'
import { writeBatch } from './record-batch.ts'
import { Writing } from './writing.ts'

/** Kafka 2.4 and later. */
export const produceApi: Api = {
  key: 0,
  version: 8,
  name: 'Produce',
  waits: false,
  throttleMs: (answer) => answer.readInt32BE(answer.length - 4),
}

/** The body of a request, acknowledged by all replicas. */
export async function produceRequest(request: ProduceRequest, codecs: Codecs): Promise<Buffer> {
  const codec = request.compression === 'none' ? undefined : codecs(compressionNumber[request.compression])
  const out = new Writing(sizeOf(request))
  out.text(request.transactionalId)
  out.int16(-1)
  out.int32(request.timeoutMs)
  const topics = byTopic(request.parts, (part) => part)
  out.int32(topics.length)
  for (const { topic, partitions } of topics) {
    out.text(topic)
    out.int32(partitions.length)
    for (const part of partitions) {
      out.int32(part.partition)
      const length = out.skip(4)
      const begin = out.at
      await writeBatch(out, part, request, codec)
      out.int32At(length, out.at - begin)
    }
  }
  return out.written()
}

/** About how much a request takes: what grows is copied. */
function sizeOf({ parts }: ProduceRequest): number {
  let size = 512
  for (const { records } of parts) {
    const [first] = records
    let headers = 0
    for (const name in first?.headers) headers += name.length + (first?.headers[name]?.length ?? 0) + 4
    size += 256 + records.length * (32 + headers)
    for (const { key, value } of records) size += (key?.length ?? 0) + (value?.length ?? 0)
  }
  return size
}

/** The answers of a response, in the order of the request's parts. */
export function produceAnswers(
  bytes: Buffer,
  parts: readonly ProducePart[],
  faultOf: FaultOfCode,
): readonly ProduceAnswer[] {
  const data = new Reading(bytes)
  const found = new Map<string, ProduceAnswer>()
  data.list(() => {
    const topic = data.text()
    data.list(() => {
      const partition = data.int32()
      const code = data.int16()
      const offset = data.int64()
      data.skip(16)
      data.list(() => {
        data.skip(4)
        data.text()
      })
      const text = data.text()
      found.set(`${partition}/${topic}`, { fault: faultOf(code, text), offset: offset < 0 ? undefined : offset })
    })
  })
  return parts.map(({ topic, partition }) => found.get(`${partition}/${topic}`) ?? missing())
}

function missing(): ProduceAnswer {
  return { fault: new Fault('connection', 'CONNECTION', 'the answer lacks a partition'), offset: undefined }
}
