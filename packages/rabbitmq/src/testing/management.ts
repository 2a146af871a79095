// The broker's management API, for tests alone: what is there, and away with it.
import { portsOfNode } from '@posthorn/brokers'

/** One broker's management API, on the virtual host `/`. */
export interface Management {
  /** Names of queues that begin so, with what they hold. */
  queues(prefix: string): Promise<readonly { readonly name: string; readonly messages: number }[]>
  /** Removes every queue and exchange whose name begins so. */
  remove(prefix: string): Promise<void>
  call(method: string, path: string, body?: unknown): Promise<unknown>
}

/** The management API of a broker of this checkout. */
export function managementOf(name: string): Management {
  const base = `http://127.0.0.1:${portsOfNode(name)['management']}/api`
  const call: Management['call'] = async (method, path, body) => {
    const response = await fetch(`${base}${path}`, {
      method,
      headers: {
        authorization: `Basic ${Buffer.from('guest:guest').toString('base64')}`,
        'content-type': 'application/json',
        // A connection of its own: the broker ends one after a hundred requests or a minute, at whatever moment the next request goes out.
        connection: 'close',
      },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    })
    const text = await response.text()
    if (!response.ok && response.status !== 404) throw new Error(`${method} ${path}: ${response.status} ${text}`)
    return text === '' ? undefined : JSON.parse(text)
  }
  const named = async (
    kind: string,
    prefix: string,
  ): Promise<{ readonly name: string; readonly messages: number }[]> => {
    const all = (await call('GET', `/${kind}/%2F?disable_stats=true&enable_queue_totals=true`)) as {
      readonly name: string
      readonly messages?: number
    }[]
    return all
      .filter(({ name: each }) => each.startsWith(prefix))
      .map(({ name: each, messages = 0 }) => ({ name: each, messages }))
  }
  return {
    call,
    queues: (prefix) => named('queues', prefix),
    async remove(prefix) {
      for (const kind of ['queues', 'exchanges'])
        for (const { name: each } of await named(kind, prefix))
          await call('DELETE', `/${kind}/%2F/${encodeURIComponent(each)}`)
    },
  }
}
