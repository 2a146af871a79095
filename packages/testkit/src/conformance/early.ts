import assert from 'node:assert/strict'
import type { Member, Stage } from './stage.ts'

/** How long before its time a message is changed: on a machine that stands still for a while, too, it is changed in time. */
export const inTimeMs = 2_000

/** Goes to shortly before a message is due and looks all the while until it is: 5 ms are left for the clocks of two machines. */
export async function nothingBefore(stage: Stage, member: Member, due: number): Promise<void> {
  const first = await member.receive(1, AbortSignal.timeout(stage.quietMs))
  assert.ok(first.length === 0 || stage.now() >= due - 5, `it came ${due - stage.now()} ms early`)
  if (first.length > 0) await member.nack(first)
  await stage.pass(Math.max(0, due - stage.now() - 200))
  while (stage.now() < due - 10) {
    await stage.pass(5)
    const got = await member.receive(1, AbortSignal.timeout(2))
    const early = due - stage.now()
    assert.ok(got.length === 0 || early <= 5, `it came ${early} ms early`)
    if (got.length > 0) await member.nack(got)
  }
}
