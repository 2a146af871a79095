import { byTopic } from './grouping.ts'
import { asMember } from './kafkajs-internals.ts'
import type { Pool } from './kafkajs-pool.ts'
import type { CommittedOffset, TransactionIdentity, Wire } from './port.ts'

const placed = ({ partition, offset, metadata }: CommittedOffset) => ({ partition, offset: String(offset), metadata })
const bytes = (data: Uint8Array): Buffer => Buffer.from(data.buffer, data.byteOffset, data.byteLength)
const native = ({ transactionalId, id, epoch }: TransactionIdentity) => ({
  transactionalId,
  producerId: id,
  producerEpoch: epoch,
})

/** The requests to coordinators: of groups and of transactions. */
export function groupRequests({
  ask,
  anyone,
}: Pick<Pool, 'ask' | 'anyone'>): Pick<
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
    join: (node, request, named) =>
      ask(
        node,
        async (broker) => {
          const data = await asMember(broker, request.instance, named).joinGroup({
            groupId: request.group,
            memberId: request.member,
            sessionTimeout: request.sessionMs,
            rebalanceTimeout: request.rebalanceMs,
            groupProtocols: [{ name: request.protocol, metadata: bytes(request.metadata) }],
          })
          return {
            generation: data.generationId,
            member: data.memberId,
            leader: data.leaderId,
            members: data.members.map(({ memberId, memberMetadata }) => ({
              member: memberId,
              metadata: memberMetadata,
            })),
          }
        },
        'join',
      ),
    memberships: (node, group) =>
      ask(node, async (broker) => {
        const data = await broker.describeGroups({ groupIds: [group] })
        return data.groups.flatMap(({ members }) => members.map(({ memberMetadata }) => memberMetadata))
      }),
    sync: (node, request) =>
      ask(
        node,
        async (broker) => {
          const { memberAssignment } = await asMember(broker, request.instance).syncGroup({
            groupId: request.group,
            generationId: request.generation,
            memberId: request.member,
            groupAssignment: request.assignments.map(({ member, assignment }) => ({
              memberId: member,
              memberAssignment: bytes(assignment),
            })),
          })
          return memberAssignment ?? new Uint8Array()
        },
        'join',
      ),
    async heartbeat(node, { group, generation, member, instance }) {
      const request = { groupId: group, groupGenerationId: generation, memberId: member }
      await ask(node, (broker) => asMember(broker, instance).heartbeat(request))
    },
    async leave(node, { group, member }) {
      await ask(node, (broker) => broker.leaveGroup({ groupId: group, memberId: member }))
    },
    async commit(node, { group, generation, member }, offsets) {
      await ask(node, (broker) =>
        broker.offsetCommit({
          groupId: group,
          groupGenerationId: generation,
          memberId: member,
          topics: byTopic(offsets, placed),
        }),
      )
    },
    committed: (node, group, of) =>
      ask(node, async (broker) => {
        const data = await broker.offsetFetch({
          groupId: group,
          topics: byTopic(of, ({ partition }) => ({ partition })),
        })
        return data.responses.flatMap(({ topic, partitions }) =>
          partitions.map(({ partition, offset, metadata }) => ({
            topic,
            partition,
            offset: Number(offset),
            metadata: metadata ?? '',
          })),
        )
      }),
    async initProducer(node, transactionalId, timeoutMs) {
      const request = { transactionalId, transactionTimeout: timeoutMs }
      const data = await (node === undefined
        ? anyone((broker) => broker.initProducerId(request))
        : ask(node, (broker) => broker.initProducerId(request)))
      return { id: String(data.producerId), epoch: data.producerEpoch }
    },
    async addPartitions(node, transaction, partitions) {
      const topics = byTopic(partitions, ({ partition }) => partition)
      await ask(node, (broker) => broker.addPartitionsToTxn({ ...native(transaction), topics }))
    },
    async addOffsets(node, transaction, group) {
      await ask(node, (broker) => broker.addOffsetsToTxn({ ...native(transaction), groupId: group }))
    },
    async commitInTransaction(node, transaction, { group }, offsets) {
      const topics = byTopic(offsets, placed)
      await ask(node, (broker) => broker.txnOffsetCommit({ ...native(transaction), groupId: group, topics }))
    },
    async endTransaction(node, transaction, commit) {
      await ask(node, (broker) => broker.endTxn({ ...native(transaction), transactionResult: commit }))
    },
  }
}
