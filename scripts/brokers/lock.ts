import { mkdirSync } from 'node:fs'
import { dirname } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { setTimeout as sleep } from 'node:timers/promises'

/**
 * Runs `work` while no other process of this machine holds the lock of the same file. The lock is SQLite's own on an empty
 * database: the kernel gives it back when its holder dies, so that no lock is ever left over.
 */
export const locked = async <T>(file: string, work: () => Promise<T>, waiting?: () => void): Promise<T> => {
  mkdirSync(dirname(file), { recursive: true })
  const database = new DatabaseSync(file)
  try {
    for (let tries = 0; !take(database); tries++) {
      if (tries === 20) waiting?.()
      await sleep(50)
    }
    return await work()
  } finally {
    database.close()
  }
}

const take = (database: DatabaseSync): boolean => {
  try {
    database.exec('BEGIN EXCLUSIVE')
    return true
  } catch (error) {
    if (error instanceof Error && /locked|busy/i.test(error.message)) return false
    throw error
  }
}
