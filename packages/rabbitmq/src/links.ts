import { type Driver, type DriverContext, MessagingError } from '@posthorn/core/driver'
import { type Link, linkTo } from './connection.ts'
import type { RabbitSettings } from './options.ts'

/** One connection to send on and one to consume on: the broker stops reading from a connection that sends when it is short of memory. */
export function openLinks(
  settings: RabbitSettings,
  context: DriverContext,
  block: (reason: string | undefined) => void,
): { readonly sending: Link; readonly consuming: Link } {
  const { clock, connectTimeoutMs, report, clientId } = context
  const away = new Set<string>()
  const link = (role: string): Link =>
    linkTo({
      settings,
      clock,
      connectTimeoutMs,
      name: `posthorn ${clientId} ${role}`,
      events: {
        up() {
          if (away.delete(role) && away.size === 0) report({ event: 'connected' })
        },
        down(error) {
          away.add(role)
          report({ event: 'disconnected', error })
        },
        blocked(reason) {
          if (role === 'sending') block(reason)
          if (reason === undefined) {
            if (away.delete('room') && away.size === 0) report({ event: 'connected' })
            return
          }
          away.add('room')
          const error = new MessagingError(
            'throttled',
            `RabbitMQ takes no messages: ${reason}; free memory or disk there`,
          )
          report({ event: 'disconnected', error })
        },
      },
    })
  const sending = link('sending')
  return { sending, consuming: settings.connection === undefined ? link('consuming') : sending }
}

type Check = Awaited<ReturnType<Driver['health']>>[number]

/** How a connection is, and what goes on over it. */
export function healthOf(
  name: string,
  link: Link,
  {
    over,
    needed,
    trouble,
  }: { readonly over: boolean; readonly needed: boolean; readonly trouble: MessagingError | undefined },
): Check {
  if (trouble !== undefined) return { name, ok: false, detail: trouble.message }
  if (over) return { name, ok: false, detail: 'closed' }
  if (link.blocked !== undefined) return { name, ok: false, detail: `RabbitMQ takes no messages: ${link.blocked}` }
  if (link.current !== undefined) return { name, ok: true, detail: 'connected' }
  return { name, ok: !needed, detail: needed ? 'not connected' : 'not needed yet' }
}
