import assert from 'node:assert/strict'
import { type Broker, isMessagingError, topic as topicOf } from '@posthorn/core'
import type { CapabilityRow } from '../../capability-table.ts'
import { broker } from '../broker-stage.ts'
import { claimsOf } from '../claims.ts'
import { golden } from '../golden.ts'
import { type Act, played, program } from '../program.ts'
import type { Chapter } from '../scenario.ts'
import type { Stage } from '../stage.ts'

/** One program leaves the same transcript on every transport, but for what the capability table allows. */
export const comparing: Chapter = {
  name: 'transcript',
  layer: 'broker',
  scenarios: [
    {
      id: 'comparing.same-everywhere',
      says: 'one program leaves the golden transcript; what a transport refuses is allowed by a cell of the table, and explain() says so before',
      run: async (stage) => {
        const row = claimsOf(stage.capabilities, stage.traits)
        const one = await broker(stage)
        const left = await Promise.all(program.map((act) => playedHere(stage, one, row, act)))
        assert.equal(left.join('\n'), program.map((act) => expected(row, act)).join('\n'))
      },
    },
  ],
}

const lacks = (row: CapabilityRow, { unless }: Act): boolean => unless?.lacking(row) === true

/** The golden lines of an act, or the one way in which it may be refused here. */
function expected(row: CapabilityRow, act: Act): string {
  if (lacks(row, act)) return `${act.name} is refused as ${act.unless?.code}`
  return golden
    .split('\n')
    .filter((line) => line.startsWith(`${act.name} `))
    .join('\n')
}

async function playedHere(stage: Stage, one: Broker, row: CapabilityRow, act: Act): Promise<string> {
  const topic = topicOf<{ key: string; n: number }>(`${stage.name()}.${act.name}`, act.topic)
  if (act.unless !== undefined) {
    const { promises } = await one.explain(topic, { group: 'a' })
    const said = promises.find(({ promise }) => promise === act.unless?.promise)
    assert.equal(
      said?.how === 'impossible',
      lacks(row, act),
      `explain() says of ${act.unless.promise}: ${said?.detail}`,
    )
  }
  try {
    return await played(act, topic, one, stage)
  } catch (error) {
    if (!isMessagingError(error)) throw error
    return `${act.name} is refused as ${error.code}`
  }
}
