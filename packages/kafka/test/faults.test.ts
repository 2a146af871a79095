// The four faults of every run, with a ledger and real processes.
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, it } from 'vitest'
import { kafkaClients, kafkaService } from '../../../scripts/faults/kafka-service.ts'
import { consumerKilled, killed, resetConsuming, resetSending } from '../../../scripts/faults/service-faults.ts'
import { isClean, serviceRun } from '../../../scripts/faults/service-run.ts'
import { format } from '../../testkit/src/ledger/report.ts'

it.each(kafkaClients)(
  'Kafka by %s, 10,000 messages: reset while sending, reset while consuming, a consumer killed, the broker killed',
  { timeout: 180_000 },
  async (client) => {
    const folder = mkdtempSync(join(tmpdir(), 'posthorn-faults-'))
    await using service = await kafkaService('kafka', client)
    const result = await serviceRun({
      service,
      faults: [resetSending, resetConsuming, consumerKilled, killed('kafka')],
      messages: 10_000,
      seed: 4,
      folder,
      msPerFault: 4_000,
    })
    console.log(format(result.check), result.seconds)
    expect(isClean(result), `${format(result.check)}\n${[...result.stuck, ...result.accidents].join(', ')}`).toBe(true)
    expect(result.check.counts.acknowledged).toBeGreaterThan(9_900)
    rmSync(folder, { recursive: true })
  },
)
