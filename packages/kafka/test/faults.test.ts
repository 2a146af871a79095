// The four faults of every run, with a ledger and real processes.
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, it } from 'vitest'
import { kafkaClients, kafkaService } from '../../../scripts/faults/kafka-service.ts'
import { consumerKilled, killed, resetConsuming, resetSending } from '../../../scripts/faults/service-faults.ts'
import { isClean, serviceRun, troubles } from '../../../scripts/faults/service-run.ts'
import { format } from '../../testkit/src/ledger/report.ts'

// Of two senders and of two members of a group each uses another client; `pnpm test:faults kafka` goes by one at a time, through more faults.
it('Kafka by both clients, 10,000 messages: reset while sending, reset while consuming, a consumer killed, the broker killed', {
  timeout: 300_000,
}, async () => {
  const folder = mkdtempSync(join(tmpdir(), 'posthorn-faults-'))
  await using service = await kafkaService('kafka', kafkaClients)
  const result = await serviceRun({
    service,
    faults: [resetSending, resetConsuming, consumerKilled, killed('kafka')],
    messages: 10_000,
    seed: 4,
    folder,
    msPerFault: 4_000,
    // Longer than a broker is away: what is sent meanwhile waits for it.
    sendTimeoutMs: 40_000,
  })
  console.log(format(result.check), result.seconds)
  expect(isClean(result), `${format(result.check)}\n${troubles(result).join(', ')}`).toBe(true)
  expect(result.check.counts.acknowledged).toBeGreaterThan(9_900)
  rmSync(folder, { recursive: true })
})
