import type { Wire } from '../clients/port.ts'
import type { Api, FaultOfCode } from './api.ts'
import type { Codecs } from './codecs.ts'
import { fetchAnswers, fetchApi, fetchRequest } from './fetch.ts'
import { produceAnswers, produceApi, produceRequest } from './produce.ts'

/** What a client does for it: carries bytes to a node and brings the answer's. Rejects with a `Fault` only. */
export type Carry = (node: number, api: Api, body: Buffer) => Promise<Buffer>

/** The two requests that carry messages, written and read by ourselves over whichever client's connections. */
export function recordRequests(carry: Carry, faultOf: FaultOfCode, codecs: Codecs): Pick<Wire, 'produce' | 'fetch'> {
  return {
    async produce(node, request) {
      const answer = await carry(node, produceApi, await produceRequest(request, codecs))
      return produceAnswers(answer, request.parts, faultOf)
    },
    async fetch(node, request) {
      return fetchAnswers(await carry(node, fetchApi, fetchRequest(request)), request, faultOf, codecs)
    },
  }
}
