import { type FaultProxy, faultProxy } from '../../packages/testkit/src/proxy/proxy.ts'
import { ensure, nodesOf, portsOfNode, type StartOptions } from '../brokers/lifecycle.ts'
import type { Service } from './service-run.ts'

/** A broker that starts looks after 5 s for what was due meanwhile, and members that lost it have 15 s to be back. */
const lateMs = 20_000

/** A service on a broker of this checkout, one proxy before it for senders and one for groups. A cluster is reached without: its nodes fail. */
export async function rabbitService(broker: string, options?: StartOptions): Promise<Service & AsyncDisposable> {
  await ensure(broker, options)
  const ports = nodesOf(broker).map((node) => portsOfNode(broker, node)['amqp'] as number)
  const proxied = (): Promise<FaultProxy> => faultProxy({ to: { host: '127.0.0.1', port: ports[0] as number } })
  const [sending, consuming] = await Promise.all([proxied(), proxied()])
  const at = (to: readonly number[]): string =>
    `amqp://guest:guest@${to.map((port) => `127.0.0.1:${port}`)}?heartbeatS=3`
  const through = ({ port }: FaultProxy): string => at(ports.length === 1 ? [port] : ports)
  return {
    direct: at(ports),
    urlOf: (does) => through(does === 'send' ? sending : consuming),
    wires: { sending, consuming },
    delays: true,
    lateMs,
    async [Symbol.asyncDispose]() {
      await Promise.all([sending.close(), consuming.close()])
    },
  }
}
