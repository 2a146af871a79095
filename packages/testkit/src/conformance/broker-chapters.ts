import { asking } from './broker/asking.ts'
import { backlog } from './broker/backlog.ts'
import { comparing } from './broker/comparing.ts'
import { deadLetters } from './broker/dead-letters.ts'
import { ending } from './broker/ending.ts'
import { failing } from './broker/failing.ts'
import { handling } from './broker/handling.ts'
import { joining } from './broker/joining.ts'
import { ordering } from './broker/ordering.ts'
import { patterns } from './broker/patterns.ts'
import { pulling } from './broker/pulling.ts'
import { refusing } from './broker/refusing.ts'
import { refusingCalls } from './broker/refusing-calls.ts'
import { selecting } from './broker/selecting.ts'
import { sending } from './broker/sending.ts'
import { sendingMany } from './broker/sending-many.ts'
import { spooling } from './broker/spooling.ts'
import { stopping } from './broker/stopping.ts'
import { surviving } from './broker/surviving.ts'
import { timing } from './broker/timing.ts'
import type { Chapter } from './scenario.ts'

/** What users see, through the public face. */
export const brokerChapters: readonly Chapter[] = [
  sending,
  sendingMany,
  handling,
  stopping,
  pulling,
  ordering,
  failing,
  deadLetters,
  timing,
  backlog,
  selecting,
  asking,
  refusing,
  refusingCalls,
  joining,
  surviving,
  ending,
  comparing,
  patterns,
  spooling,
]
