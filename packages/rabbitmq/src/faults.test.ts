// The four faults of every run, with a ledger and real processes.
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, it } from 'vitest'
import { rabbitService } from '../../../scripts/faults/rabbitmq-service.ts'
import { consumerKilled, killed, resetConsuming, resetSending } from '../../../scripts/faults/service-faults.ts'
import { isClean, serviceRun, troubles } from '../../../scripts/faults/service-run.ts'
import { format } from '../../testkit/src/ledger/report.ts'

it('RabbitMQ, 10,000 messages: reset while sending, reset while consuming, a consumer killed, the broker killed', {
  timeout: 300_000,
}, async () => {
  const folder = mkdtempSync(join(tmpdir(), 'posthorn-faults-'))
  // A broker of its own: it is killed.
  await using service = await rabbitService('rabbitmq-tls')
  const result = await serviceRun({
    service,
    faults: [resetSending, resetConsuming, consumerKilled, killed('rabbitmq-tls')],
    messages: 10_000,
    seed: 4,
    folder,
    msPerFault: 4_000,
  })
  console.log(format(result.check), result.seconds)
  expect(isClean(result), `${format(result.check)}\n${troubles(result).join(', ')}`).toBe(true)
  expect(result.check.counts.acknowledged).toBeGreaterThan(9_900)
  rmSync(folder, { recursive: true })
})
