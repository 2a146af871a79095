import type { MessagingError } from '@posthorn/core'
import { type Clock, pause, within } from '@posthorn/core/driver'
import {
  type Assignment,
  decodeAssignment,
  decodeMembership,
  encodeAssignment,
  encodeMembership,
  type Membership,
  protocolName,
} from './assignment.ts'
import { spread } from './backoff.ts'
import type { JoinAnswer, JoinRequest, Member } from './clients/port.ts'
import type { ClusterMap } from './cluster.ts'
import { expelled, type Fault, faultOf, messagingError, moved } from './errors.ts'
import type { Instance } from './instances.ts'

/** What a group's member does when the group speaks to it. */
export interface MemberEvents {
  /** Told at each joining. */
  membership(): Membership
  /** Only the leader is asked: what each shall read. */
  assign(members: readonly (Membership & { readonly member: string })[]): Promise<Map<string, Assignment>>
  /** From now on. `anew`: whatever we had was lost in between. */
  assigned(assignment: Assignment, member: Member, anew: boolean): void
  /** Nothing is ours any more; we join again. */
  expelled(): void
  /** The group cannot be reached for longer than our place in it lasts, or refuses us. */
  failed(error: MessagingError): void
}

/** A place in a consumer group. */
export interface GroupMember {
  /** Our place; undefined while there is none. */
  readonly place: Member | undefined
  /** By which the group knows us; '' before it does. */
  readonly id: string
  /** Asks for a new assignment, because what we own or want has changed. */
  rejoin(): void
  /** Resolves with the id under which the group may still count us, because we could not take leave of it; '' where it does not. */
  leave(): Promise<string>
}

/** How long a joining that is under way is waited for at the end. */
const leavingMs = 1_500

/** How long a group waits for its members to join it anew, and for its leader to say who reads what. */
export function rebalanceMsOf(sessionMs: number): number {
  return Math.max(sessionMs, 10_000)
}

/** Joins and stays; heartbeats go by a timer of their own, however busy the handlers are. */
export function groupMember(
  group: string,
  context: {
    readonly cluster: ClusterMap
    readonly clock: Clock
    readonly sessionMs: number
    /** Keeps our place while we are away for less than a session. */
    readonly instance: Instance | undefined
    /** The id of this consumer's last membership, of which it could not take leave: as another member we would wait until that one has timed out. */
    readonly former: string
  },
  events: MemberEvents,
): GroupMember {
  const { cluster, clock, sessionMs, instance } = context
  const heartbeatMs = Math.min(500, sessionMs / 6)
  const closing = new AbortController()
  let wake = new AbortController()
  let wanted = false
  let place: Member | undefined
  /** Outlives a rejoining; '' where the coordinator must give us a new one. */
  let id = context.former

  const lose = (): void => {
    place = undefined
    events.expelled()
  }
  /** The group no longer knows us. */
  const forgotten = (): void => {
    id = ''
    lose()
  }
  const join = async (): Promise<void> => {
    const node = await cluster.coordinator('group', group)
    const before = id
    wanted = false
    wake = new AbortController()
    place = undefined
    const request: JoinRequest = {
      group,
      member: id,
      instance: instance?.id,
      sessionMs,
      rebalanceMs: rebalanceMsOf(sessionMs),
      protocol: protocolName,
      metadata: encodeMembership(events.membership()),
    }
    // Kept at once: whose answer is lost would join as another one, and the group would wait for the first.
    const joined = await cluster.wire.join(node, request, (named) => {
      id = named
    })
    id = joined.member
    const member: Member = { group, generation: joined.generation, member: joined.member, instance: instance?.id }
    const plan = joined.leader === joined.member ? await planOf(joined) : []
    if (closing.signal.aborted) return
    const assignment = decodeAssignment(
      await cluster.wire.sync(node, { ...member, protocol: protocolName, assignments: plan }),
    )
    place = member
    events.assigned(assignment, member, before !== joined.member)
  }
  const planOf = async (joined: JoinAnswer) => {
    const members = joined.members.map(({ member, metadata }) => ({ member, ...decodeMembership(metadata) }))
    const assignments = await events.assign(members)
    return [...assignments].map(([member, assignment]) => ({ member, assignment: encodeAssignment(assignment) }))
  }
  /** Until the group, or we, want a new assignment. */
  const stay = async (): Promise<void> => {
    let seen = clock.now()
    while (!closing.signal.aborted && place !== undefined) {
      if (!wanted) await pause(clock, heartbeatMs, AbortSignal.any([closing.signal, wake.signal]))
      if (wanted || closing.signal.aborted) return
      try {
        await cluster.wire.heartbeat(await cluster.coordinator('group', group), place)
        seen = clock.now()
      } catch (error) {
        const fault = faultOf(error)
        if (fault.type === 'REBALANCE_IN_PROGRESS') return
        if (superseded(fault)) throw fault
        if (expelled(fault)) return forgotten()
        if (moved(fault)) cluster.forget({ coordinator: group })
        if (clock.now() - seen > sessionMs) {
          lose()
          throw fault
        }
      }
    }
  }
  const serve = async (): Promise<void> => {
    let failingSince: number | undefined
    while (!closing.signal.aborted) {
      try {
        await join()
        failingSince = undefined
        await stay()
      } catch (error) {
        const fault = faultOf(error)
        if (closing.signal.aborted) return
        if (superseded(fault)) {
          forgotten()
          return events.failed(instance?.lost() ?? messagingError(fault, `the place in ${group} was lost`))
        }
        if (expelled(fault)) forgotten()
        else if (fault.type !== 'REBALANCE_IN_PROGRESS') {
          if (moved(fault)) cluster.forget({ coordinator: group })
          failingSince ??= clock.now()
          if (!passesHere(fault) || clock.now() - failingSince > sessionMs / 2) {
            lose()
            return events.failed(messagingError(error, `the consumer group ${group} could not be joined`))
          }
        }
        await pause(clock, spread(100), closing.signal)
      }
    }
  }
  const serving = serve()
  return {
    get place() {
      return place
    },
    get id() {
      return instance === undefined ? id : ''
    },
    rejoin() {
      wanted = true
      wake.abort()
    },
    async leave() {
      closing.abort()
      // A joining that is under way ends as a member, for which the others would wait: that one has to leave.
      await within(serving, leavingMs, clock)
      const last = id
      // An instance that leaves would not find its place again, and needs no id for it.
      if (last === '' || instance !== undefined) return ''
      try {
        const node = await cluster.coordinator('group', group)
        await cluster.wire.leave(node, { group, generation: -1, member: last, instance: undefined })
        return ''
      } catch (error) {
        return expelled(faultOf(error)) ? '' : last
      }
    },
  }
}

/** Somebody else has joined by our instance id. */
function superseded(fault: Fault): boolean {
  return fault.type === 'FENCED_INSTANCE_ID'
}

function passesHere(fault: Fault): boolean {
  return (
    fault.kind !== 'login' &&
    fault.kind !== 'client' &&
    !/AUTHORIZATION|INCONSISTENT|INVALID|UNSUPPORTED/.test(fault.type)
  )
}
