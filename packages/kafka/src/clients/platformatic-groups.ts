import { byTopic } from './grouping.ts'
import type { Pool } from './platformatic-pool.ts'
import type { CommittedOffset, Wire } from './port.ts'

type Library = typeof import('@platformatic/kafka')

/** The broker has chosen an id and wants it to be said. */
const memberIdRequired = 79

const committed = ({ partition, offset, metadata }: CommittedOffset) => ({
  partitionIndex: partition,
  committedOffset: BigInt(offset),
  committedLeaderEpoch: -1,
  committedMetadata: metadata,
})

/** The requests to coordinators: of groups and of transactions. `check` throws the first error among codes. */
export function groupRequests(
  library: Library,
  { ask, anyone }: Pick<Pool, 'ask' | 'anyone'>,
  check: (...codes: readonly number[]) => void,
): Pick<
  Wire,
  | 'join'
  | 'memberships'
  | 'sync'
  | 'heartbeat'
  | 'leave'
  | 'commit'
  | 'committed'
  | 'initProducer'
  | 'addPartitions'
  | 'addOffsets'
  | 'commitInTransaction'
  | 'endTransaction'
> {
  return {
    async join(node, request, named) {
      const metadata = Buffer.from(request.metadata)
      const join = (member: string) =>
        ask(
          node,
          'join',
          library.joinGroupV7.api,
          request.group,
          request.sessionMs,
          request.rebalanceMs,
          member,
          request.instance ?? null,
          'consumer',
          [{ name: request.protocol, metadata }],
        )
      let data = await join(request.member)
      if (data.errorCode === memberIdRequired) {
        named(data.memberId)
        data = await join(data.memberId)
      }
      check(data.errorCode)
      return {
        generation: data.generationId,
        member: data.memberId,
        leader: data.leader,
        members: data.members.map((each) => ({ member: each.memberId, metadata: each.metadata })),
      }
    },
    async memberships(node, group) {
      const data = await ask(node, 'short', library.describeGroupsV5.api, [group], false)
      return data.groups.flatMap((each) => {
        check(each.errorCode)
        return [...each.members.values()].map(({ memberMetadata }) => memberMetadata)
      })
    },
    async sync(node, request) {
      const data = await ask(
        node,
        'join',
        library.syncGroupV5.api,
        request.group,
        request.generation,
        request.member,
        request.instance ?? null,
        'consumer',
        request.protocol,
        request.assignments.map(({ member, assignment }) => ({
          memberId: member,
          assignment: Buffer.from(assignment),
        })),
      )
      check(data.errorCode)
      return data.assignment
    },
    async heartbeat(node, { group, generation, member, instance }) {
      check((await ask(node, 'short', library.heartbeatV4.api, group, generation, member, instance)).errorCode)
    },
    async leave(node, { group, member }) {
      const data = await ask(node, 'short', library.leaveGroupV4.api, group, [
        { memberId: member, groupInstanceId: null },
      ])
      check(data.errorCode, ...data.members.map(({ errorCode }) => errorCode))
    },
    async commit(node, { group, generation, member, instance }, offsets) {
      const topics = byTopic(offsets, committed).map(({ topic, partitions }) => ({ name: topic, partitions }))
      const data = await ask(
        node,
        'short',
        library.offsetCommitV8.api,
        group,
        generation,
        member,
        instance ?? null,
        topics,
      )
      check(...data.topics.flatMap(({ partitions }) => partitions.map(({ errorCode }) => errorCode)))
    },
    async committed(node, group, of) {
      const topics = byTopic(of, ({ partition }) => partition).map(({ topic, partitions }) => ({
        name: topic,
        partitionIndexes: partitions,
      }))
      const data = await ask(
        node,
        'short',
        library.offsetFetchV8.api,
        [{ groupId: group, memberEpoch: -1, topics }],
        true,
      )
      return data.groups.flatMap((each) => {
        check(each.errorCode)
        return each.topics.flatMap(({ name, partitions }) =>
          partitions.map(({ partitionIndex, committedOffset, metadata, errorCode }) => {
            check(errorCode)
            return {
              topic: name,
              partition: partitionIndex,
              offset: Number(committedOffset),
              metadata: metadata ?? '',
            }
          }),
        )
      })
    },
    async initProducer(node, transactionalId, timeoutMs) {
      const api = library.initProducerIdV4.api
      const data = await (node === undefined
        ? anyone(api, transactionalId ?? null, timeoutMs)
        : ask(node, 'short', api, transactionalId ?? null, timeoutMs))
      check(data.errorCode)
      return { id: String(data.producerId), epoch: data.producerEpoch }
    },
    async addPartitions(node, { transactionalId, id, epoch }, partitions) {
      const topics = byTopic(partitions, ({ partition }) => partition).map(({ topic, partitions: list }) => ({
        name: topic,
        partitions: list,
      }))
      const data = await ask(node, 'short', library.addPartitionsToTxnV3.api, [
        { transactionalId, producerId: BigInt(id), producerEpoch: epoch, verifyOnly: false, topics },
      ])
      for (const { topicResults } of data.resultsByTransaction)
        for (const { resultsByPartition } of topicResults)
          check(...resultsByPartition.map(({ partitionErrorCode }) => partitionErrorCode))
    },
    async addOffsets(node, { transactionalId, id, epoch }, group) {
      check(
        (await ask(node, 'short', library.addOffsetsToTxnV3.api, transactionalId, BigInt(id), epoch, group)).errorCode,
      )
    },
    async commitInTransaction(node, { transactionalId, id, epoch }, place, offsets) {
      const { group, generation, member, instance } = place
      const topics = byTopic(offsets, committed).map(({ topic, partitions }) => ({ name: topic, partitions }))
      const api = library.txnOffsetCommitV3.api
      const data = await ask(
        node,
        'short',
        api,
        transactionalId,
        group,
        BigInt(id),
        epoch,
        generation,
        member,
        instance ?? null,
        topics,
      )
      check(...data.topics.flatMap(({ partitions }) => partitions.map(({ errorCode }) => errorCode)))
    },
    async endTransaction(node, { transactionalId, id, epoch }, commit) {
      check((await ask(node, 'short', library.endTxnV3.api, transactionalId, BigInt(id), epoch, commit)).errorCode)
    },
  }
}
