// The processes of a fault run: started, told, killed, counted.
import { type ChildProcess, fork } from 'node:child_process'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import type { MemberOrders, Progress, Word } from './service-member.ts'

/** One place in a run; who stands in it may be killed and replaced. */
export interface Place {
  readonly name: string
  readonly does: MemberOrders['does']
  tell(word: Word): void
  /** SIGTERM; resolves with the exit code. */
  leave(): Promise<number | null>
  /** Resolves when the process is gone; rejects when it is not within `ms`. */
  gone(ms: number): Promise<void>
  /** Puts a new process in the place of one that is gone. */
  replace(): Promise<void>
  readonly progress: Progress
  /** How often it has told its progress, in all its lives. */
  readonly told: number
  /** Whether a process stands in it. */
  readonly taken: boolean
}

/** All places of a run. */
export interface Crew {
  /** The taken places of a kind. */
  of(does: MemberOrders['does']): readonly Place[]
  /** One more for a group, until it leaves. */
  join(does: MemberOrders['does']): Promise<Place>
  tell(word: Word): void
  /** Tells senders to pause and waits until nothing of theirs is under way. */
  rest(): Promise<void>
  /** Waits until every sender has finished, and then until nothing has moved for `quietMs`; false: nothing moved for `stuckMs` before. */
  settles(quietMs: number, stuckMs: number): Promise<boolean>
  /** Waits until senders and every group have got on since now; false: not within `ms`. */
  movesOn(ms: number): Promise<boolean>
  /** Processes that ended by themselves, or did not end well. */
  readonly accidents: readonly string[]
  close(): Promise<void>
}

const member = fileURLToPath(new URL('./service-member.ts', import.meta.url))
/** Longest that a process may take to be ready, or to leave in good order. */
const readyMs = 40_000
const leaveMs = 20_000
/** How often a member tells what it has done. */
const tellMs = 500

/** An empty crew; `ordersOf` says what a member of that name and number is given. */
export function crewOf(
  ordersOf: (name: string, does: MemberOrders['does'], member: number) => Omit<MemberOrders, 'tellMs'>,
): Crew {
  const places: Place[] = []
  const accidents: string[] = []
  let over = false
  let count = 0

  const join = async (does: MemberOrders['does']): Promise<Place> => {
    const member = ++count
    const name = `${does}${member}`
    const place = placeOf({ ...ordersOf(name, does, member), tellMs }, (what) => {
      if (!over) accidents.push(`${name} ${what}`)
    })
    places.push(place)
    await place.replace()
    return place
  }
  /** What all of a kind have done, in all their lives. */
  const sums = (): readonly number[] =>
    (['send', 'billing', 'audit'] as const).map((does) =>
      places.filter((each) => each.does === does).reduce((sum, { progress }) => sum + progress.done, 0),
    )
  /** What a member tells next may have been on its way before now; what it tells after that is of the time since. Whether all have told that. */
  const heardAnew = (): (() => boolean) => {
    const enough = new Map(places.map((each) => [each, each.told + 2]))
    return () => places.every((each) => !each.taken || each.told >= (enough.get(each) ?? 0))
  }
  const finished = (): boolean => places.every(({ does, progress }) => does !== 'send' || progress.sent)
  return {
    accidents,
    join,
    of: (does) => places.filter((each) => each.does === does && each.taken),
    tell: (word) => {
      for (const each of places) each.tell(word)
    },
    async rest() {
      const end = performance.now() + readyMs
      const senders = places.filter((each) => each.does === 'send' && each.taken)
      for (const each of senders) each.tell({ say: 'pause' })
      const heard = heardAnew()
      for (; !heard() || !senders.every(({ progress }) => progress.rests); await sleep(20))
        if (performance.now() > end) throw new Error(`a sender had not paused after ${readyMs / 1_000} s`)
    },
    async settles(quietMs, stuckMs) {
      let last = sums()
      for (let since = performance.now(); ; await sleep(100)) {
        const now = sums()
        if (now.some((sum, i) => sum !== last[i])) since = performance.now()
        last = now
        const still = performance.now() - since
        if (finished() && still >= quietMs) return true
        if (still >= stuckMs) return false
      }
    },
    async movesOn(ms) {
      const end = performance.now() + ms
      const heard = heardAnew()
      for (; !heard(); await sleep(20)) if (performance.now() >= end) return false
      const before = sums()
      for (; performance.now() < end; await sleep(100))
        if (sums().every((sum, i) => sum > (before[i] ?? 0))) return true
      return false
    },
    async close() {
      const codes = await Promise.all(places.map((each) => each.leave()))
      over = true
      for (const [i, code] of codes.entries()) if (code !== 0) accidents.push(`${places[i]?.name} ended with ${code}`)
    },
  }
}

function placeOf(orders: MemberOrders, accident: (what: string) => void): Place {
  let child: ChildProcess | undefined
  let meant = false
  let ended: Promise<number | null> = Promise.resolve(0)
  /** Of former lives, and of this one. */
  let former = 0
  let now: Progress = { done: 0, sent: false, rests: false }
  let told = 0
  return {
    name: orders.name,
    does: orders.does,
    get taken() {
      return child !== undefined
    },
    get progress() {
      return { done: former + now.done, sent: now.sent, rests: now.rests }
    },
    get told() {
      return told
    },
    tell(word) {
      if (word.say === 'die') meant = true
      child?.send(word, () => {})
    },
    async replace() {
      await ended
      former += now.done
      now = { done: 0, sent: false, rests: false }
      meant = false
      const next = fork(member, [JSON.stringify(orders)], {
        execArgv: ['--conditions=posthorn:source', '--disable-warning=ExperimentalWarning'],
        stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
      })
      child = next
      const ready = new Promise<void>((resolve) => {
        next.on('message', (progress: Progress) => {
          now = progress
          told++
          resolve()
        })
      })
      ended = new Promise((resolve) => next.once('exit', resolve))
      void ended.then((code) => {
        child = undefined
        if (!meant) accident(`ended by itself (${code})`)
      })
      await Promise.race([ready, ended, sleep(readyMs, undefined, { ref: false })])
    },
    async leave() {
      if (child === undefined) return 0
      meant = true
      const leaving = child
      leaving.kill('SIGTERM')
      const late = sleep(leaveMs, 'late' as const, { ref: false })
      const code = await Promise.race([ended, late])
      if (code !== 'late') return code
      accident(`had not left ${leaveMs} ms after SIGTERM`)
      leaving.kill('SIGKILL')
      return ended
    },
    async gone(ms) {
      if ((await Promise.race([ended, sleep(ms, 'late' as const, { ref: false })])) === 'late')
        throw new Error(`${orders.name} was to die and lives on after ${ms} ms`)
    },
  }
}
