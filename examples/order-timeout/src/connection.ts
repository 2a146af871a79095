import { type Broker, connect } from 'posthorn'
import { brokerUrl, databaseUrl, namespace } from './settings.ts'

/** The one line that names the broker. The orders' database is its store: outbox, inbox and tables share each commit. */
export function open(): Promise<Broker> {
  return connect(
    brokerUrl === databaseUrl
      ? { url: databaseUrl }
      : { url: brokerUrl, store: databaseUrl, singleHost: true, namespace },
  )
}
