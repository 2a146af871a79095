// The four faults of every run, with a ledger: nothing acknowledged is lost, nothing comes that was not sent, keys stay in order.
import { ensure, killNode, portsOfNode, startNode } from '@posthorn/brokers'
import { connectAdapter } from '@posthorn/core'
import { faultProxy } from '@posthorn/testkit'
import { expect, it } from 'vitest'
import { check } from '../../testkit/src/ledger/checker.ts'
import { memoryLedger, monotonicNow } from '../../testkit/src/ledger/ledger.ts'
import { format } from '../../testkit/src/ledger/report.ts'
import { ledgerRun, runChecks } from '../../testkit/src/ledger/run.ts'
import { rabbitmq } from './index.ts'
import { managementOf } from './testing/management.ts'

// A broker of its own: it is killed.
const name = 'rabbitmq-tls'

/** Its ports may be taken for a moment yet. */
async function started(): Promise<void> {
  const end = performance.now() + 20_000
  for (;;) {
    try {
      return await startNode(name)
    } catch (error) {
      if (performance.now() > end) throw error
      await new Promise((resolve) => setTimeout(resolve, 250))
    }
  }
}

it('a run of 10,000 with resets while sending and consuming, a black hole, and the broker killed', {
  timeout: 180_000,
}, async () => {
  await ensure(name)
  const proxy = await faultProxy({ to: { host: '127.0.0.1', port: portsOfNode(name)['amqp'] as number } })
  const namespace = `ledger${Date.now()}`
  const ledger = memoryLedger(monotonicNow)
  const during = async (what: string, fault: () => Promise<void>): Promise<void> => {
    const end = ledger.fault(what)
    await fault()
    end()
  }
  const pending: Promise<void>[] = []
  const faults: Record<number, () => void> = {
    20: () => pending.push(during('reset', async () => void proxy.cut())),
    45: () =>
      pending.push(
        during('reset before answers', async () => {
          await proxy.cutAfter('down', 20_000)
        }),
      ),
    60: () =>
      pending.push(
        during('black hole', async () => {
          proxy.blackHole()
          await new Promise((resolve) => setTimeout(resolve, 5_000))
          await proxy.restore()
        }),
      ),
    80: () =>
      pending.push(
        during('kill', async () => {
          await killNode(name)
          await started()
        }),
      ),
  }
  try {
    await ledgerRun({
      connect: () =>
        connectAdapter(rabbitmq({ url: `amqp://guest:guest@127.0.0.1:${proxy.port}`, heartbeatS: 2 }), {
          namespace,
          log: false,
        }),
      ledger,
      messages: 10_000,
      batch: 100,
      keys: 40,
      // Without delays: what is due while the broker starts waits up to three minutes there (docs/brokers/rabbitmq.md).
      courses: ['plain', 'fails once', 'rejected'],
      between: (n) => faults[n]?.(),
    })
    await Promise.all(pending)
    // Without an inbox an effect may come twice after a fault. A member that joins while the broker is away is told so by consume();
    // rejections that nobody handles fail the test by themselves.
    const result = check(ledger.entries, {
      ...runChecks,
      allow: ['duplicate-effect', 'rejection'],
      limits: { recoveryMs: 15_000 },
    })
    expect(result.ok, format(result)).toBe(true)
    console.log(format(result))
  } finally {
    await proxy.close()
    await managementOf(name).remove(`${namespace}:`)
  }
})
