import type { Task } from './task.ts'

/** What was received and is not settled, oldest first. Linked through the tasks themselves: in and out cost nothing to speak of. */
export class Hand implements Iterable<Task> {
  #size = 0
  #first: Task | undefined
  #last: Task | undefined

  get size(): number {
    return this.#size
  }

  /** Takes a task that is in no hand yet. */
  put(task: Task): void {
    task.held = true
    task.before = this.#last
    if (this.#last === undefined) this.#first = task
    else this.#last.after = task
    this.#last = task
    this.#size++
  }

  /** Whether it was there. */
  take(task: Task): boolean {
    if (!task.held) return false
    task.held = false
    const { before, after } = task
    if (before === undefined) this.#first = after
    else before.after = after
    if (after === undefined) this.#last = before
    else after.before = before
    task.before = undefined
    task.after = undefined
    this.#size--
    return true
  }

  /** Everything that is in it now; what goes meanwhile is still given. */
  [Symbol.iterator](): Iterator<Task> {
    const all: Task[] = []
    for (let task = this.#first; task !== undefined; task = task.after) all.push(task)
    return all[Symbol.iterator]()
  }
}
