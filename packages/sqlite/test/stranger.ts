// A process of another user: `stranger.ts <path>`. It tells its parent how it was refused. As root it becomes nobody, for whom permissions count.
import { isMessagingError } from '@posthorn/core'
import { connected, message, never, topicOf } from './stage.ts'

const nobody = 65_534
const [path = ''] = process.argv.slice(2)
process.on('disconnect', () => process.exit(1))
if (process.getuid?.() === 0) {
  process.setgroups?.([])
  process.setgid?.(nobody)
  process.setuid?.(nobody)
}
try {
  const driver = await connected(path, 2_000)
  await driver.declare(topicOf('t'), never)
  const [result] = await driver.send([message('t', 'from a stranger')], { signal: never })
  process.send?.({ sent: result?.ok }, () => process.exit(0))
} catch (error) {
  const code = isMessagingError(error) ? error.code : 'none'
  process.send?.({ code, message: String(error) }, () => process.exit(0))
}
