import type { DefectName } from '../defects/defects.ts'

/** Scenarios that find a defect: where it fires at its own place, at every occasion, or at the first only. */
export interface Found {
  readonly own?: readonly string[]
  readonly always?: readonly string[]
  readonly once?: readonly string[]
}

/**
 * What each seeded defect is found by. A scenario that no defect kills proves nothing of a driver; those that are about core alone, or about a
 * store, are not here. Every pair is run on memory: without the defect the scenario passes, with it the scenario's own assertion fails.
 */
export const killers: Readonly<Record<Exclude<DefectName, 'unknown-as-failed'>, Found>> = {
  'ack-as-nack': {
    always: ['handling.resolve-is-ack'],
  },
  'ack-on-close': {
    own: ['close.source-gives-back', 'settle.unsettled-comes-back'],
  },
  'answer-empty-send': {
    own: ['send.empty-batch'],
  },
  'answer-empty-settle': {
    own: ['settle.empty-batch'],
  },
  'atomic-in-parts': {
    own: ['together.none'],
  },
  'cancel-lies': {
    own: ['cancel.in-time', 'cancel.race', 'cancel.too-late'],
  },
  'cancel-outside-transaction': {
    own: ['timing.cancel-in-a-transaction', 'together.cancel-rolls-back'],
  },
  'close-once': {
    own: ['close.source-twice'],
  },
  'confirm-before-held': {
    own: ['cancel.by-another'],
  },
  'copy-to-all-groups': {
    own: ['delay.to-a-group', 'send.to-one-group'],
  },
  'corrupt-body': {
    own: ['round-trip.hostile-bodies', 'round-trip.ids', 'round-trip.keys'],
    always: ['round-trip.every-byte'],
  },
  'count-stands-still': {
    own: ['settle.counted-starts'],
  },
  'declare-says-yes': {
    own: ['declare.check-finds-nothing'],
  },
  'declare-waits': {
    own: ['together.declare-in-a-transaction'],
  },
  'deliver-300ms-early': {
    own: ['delay.not-early'],
  },
  'deliver-early': {
    own: ['delay.not-early', 'delay.overtaken', 'timing.reschedule', 'timing.rule-10-cancel'],
  },
  'deliver-expired': {
    own: ['sending.rule-8-expiry'],
  },
  'deliver-twice': {
    own: ['handling.batch', 'pulling.receive'],
    always: ['handling.middleware'],
  },
  'double-one': {
    own: ['sending.thousands-in-flight'],
  },
  'drop-headers': {
    own: [
      'round-trip.awkward-texts',
      'round-trip.every-field',
      'round-trip.header-names',
      'round-trip.header-values',
      'round-trip.redelivery',
      'sending.options-arrive',
    ],
  },
  'drop-key': {
    own: ['round-trip.every-field'],
  },
  'drop-nack-delay': {
    own: ['failing.nack-not-early', 'settle.nack-delayed', 'settle.nack-delayed-holds-its-key'],
  },
  'drop-tag': {
    own: ['round-trip.every-field'],
  },
  'effects-without-settling': {
    own: ['together.effects', 'together.effects-of-a-loser'],
  },
  'extend-nothing': {
    own: ['handling.long-lease', 'leases.extend-stale', 'leases.extended'],
  },
  'failed-as-ok': {
    own: ['send.too-large'],
  },
  'fence-stands-still': {
    own: ['order.fence-rises'],
  },
  'forget-ack': {
    own: ['pulling.iterator', 'settle.ack-is-final', 'settle.many'],
    always: ['handling.window'],
  },
  'forget-failures': {
    own: [
      'failing.attempts',
      'failing.recovers',
      'failing.spares-its-neighbours',
      'failing.tries-survive',
      'handling.events',
      'handling.one-bad-in-a-batch',
      'pulling.verdicts',
      'settle.failure',
      'settle.failure-survives-its-member',
    ],
  },
  'forget-generation': {
    own: ['round-trip.counters'],
  },
  'forget-history': {
    own: ['round-trip.counters'],
  },
  'hang-close': {
    once: ['close.driver-at-once', 'close.driver-under-way'],
  },
  'hang-open': {
    own: ['close.open-aborted'],
  },
  'hang-receive': {
    always: ['receive.aborted-waiting', 'replay.empty'],
  },
  'hang-send': {
    own: ['asking.failure', 'groups.dead-reply-address', 'receive.abort-loses-none'],
    always: ['receive.aborted-before'],
  },
  'hang-settle': {
    own: ['settle.ack-is-final'],
  },
  'health-always-well': {
    own: ['close.health-answers'],
  },
  'highest-offset': {
    own: ['settle.gap-is-kept'],
  },
  'ignore-filter': {
    own: ['filters.by-the-driver', 'selecting.headers', 'selecting.sql', 'selecting.tag'],
  },
  'ignore-priority': {
    own: ['priority.first', 'sending.priority-or-refusal'],
  },
  'ignore-transaction': {
    own: ['sending.transaction', 'together.transaction-commits', 'together.transaction-rolls-back'],
  },
  'ignore-window': {
    own: ['receive.window'],
  },
  'keep-on-close': {
    own: ['close.source-ends-its-receive'],
  },
  'lag-a-fifth-short': {
    own: ['backlog.drain'],
  },
  'lag-says-nothing': {
    own: ['backlog.drain', 'ending.lag', 'lag.counts-down', 'lag.groups-apart', 'lag.oldest', 'lag.without-members'],
  },
  'letter-without-reason': {
    own: ['shelf.put-and-list'],
  },
  'lose-letter': {
    own: [
      'failing.nonsense-backoff',
      'failing.reject',
      'failing.undecodable',
      'failing.unrecoverable',
      'handling.nonsense',
      'letters.limit',
      'letters.order',
      'letters.rule-5-redrive',
      'letters.where',
      'shelf.ends-while-filled',
      'shelf.groups-apart',
      'shelf.listed-at-once',
      'shelf.listing-takes-nothing',
      'shelf.put-and-list',
      'shelf.remove',
      'shelf.survives-its-connection',
    ],
  },
  'lose-on-abort': {
    own: ['receive.waits'],
  },
  'withdraw-in-vain': {
    own: ['send.aborted-under-way'],
  },
  'lose-on-close': {
    own: [
      'close.driver-twice',
      'close.other-sources-stay',
      'close.used-again',
      'delay.every-group',
      'delay.keeps-the-message',
      'delay.past',
      'ending.close-drains',
      'grouping.every-group',
      'groups.broadcast-ends-with-its-member',
      'groups.reply-address',
      'handling.at-most-once',
      'handling.delivery',
      'handling.pause-and-resume',
      'patterns.later-topics',
      'receive.waits',
      'receive.wakes-all',
      'refusing.poison-marks',
      'refusing.send-options',
      'round-trip.nothing-set',
      'selecting.pattern',
      'send.aborted',
      'send.aborted-under-way',
      'send.bytes-are-ours',
      'send.kept-for-later-groups',
      'send.large-body',
      'sending.batch',
      'sending.middleware',
      'sending.post',
      'sending.rule-1-named-groups',
      'sending.rule-7-atomic',
      'settle.nack-stays-in-its-group',
      'timing.at-a-date',
      'timing.expiry-from-due',
      'timing.rule-10-too-late',
      'timing.rule-9-delay',
    ],
  },
  'lose-one': {
    own: [
      'asking.answer',
      'asking.rule-22-dead-address',
      'comparing.same-everywhere',
      'declare.at-once',
      'declare.groups-before-readers',
      'declare.twice',
      'grouping.rule-22-broadcast',
      'groups.a-copy-each',
      'groups.broadcast',
      'groups.start-counts-once',
      'groups.survive-their-members',
      'handling.concurrency',
      'order.keys-in-parallel',
      'order.whole-topic',
      'order.without-keys',
      'patterns.one-word',
      'refusing.awkward-names',
      'refusing.awkward-texts',
      'refusing.forged-counters',
      'refusing.hostile-bodies',
      'send.by-two-connections',
      'send.full-batch',
      'send.named-partition',
      'send.one-receipt-each',
      'send.overlapping',
      'sending.thousands-in-flight',
      'together.all',
    ],
  },
  'lose-received': {
    own: ['send.one-receipt-each'],
  },
  'mark-nothing': {
    own: ['settle.mark'],
  },
  'nack-as-ack': {
    own: ['failing.default', 'settle.hand-back'],
  },
  'never-lost': {
    own: ['leases.run-out'],
  },
  'new-id-on-redelivery': {
    own: ['round-trip.redelivery'],
  },
  'ok-as-failed': {
    own: ['settle.mixed'],
    always: ['declare.check-finds-it'],
  },
  'own-group-each': {
    own: ['grouping.competing', 'grouping.rule-20-agreement', 'receive.shared'],
  },
  'query-misses': {
    own: ['query.by-id-key-and-time', 'selecting.query'],
  },
  'receipts-reversed': {
    own: ['replay.receipt'],
  },
  'receipts-short': {
    own: ['declare.namespaces-apart', 'sending.buffer-holds-back'],
  },
  'receive-too-many': {
    own: ['receive.at-most-max'],
  },
  'remove-nothing': {
    own: ['ending.topics', 'ending.topics-again', 'topics.removed', 'topics.same-connection'],
  },
  'remove-says-yes': {
    own: ['topics.in-hand', 'topics.not-there'],
  },
  'reschedule-lies': {
    own: ['reschedule.earlier-and-later'],
  },
  'reuse-buffers': {
    own: ['receive.bodies-stay'],
  },
  'reword-filter': {
    own: ['grouping.rule-20-agreement'],
  },
  'seek-nothing': {
    own: ['seek.back', 'seek.to-the-end', 'selecting.seek'],
  },
  'settle-before-handler': {
    own: [
      'failing.rule-6-one-group',
      'handling.exactly-once-sends',
      'handling.rule-18-pause-gives-back',
      'handling.stop-drains',
      'handling.stop-has-a-deadline',
    ],
  },
  'shelf-hides-one': {
    always: ['shelf.put-and-list'],
  },
  'shelf-keeps': {
    own: ['shelf.remove'],
  },
  'shelf-never-ends': {
    own: ['shelf.empty'],
  },
  'shelf-removes-all': {
    own: ['shelf.remove'],
  },
  'stale-as-ok': {
    own: ['leases.key-goes-whole', 'leases.run-out', 'settle.after-close', 'settle.twice'],
  },
  'start-at-earliest': {
    own: ['groups.from-latest'],
  },
  'start-at-latest': {
    own: [
      'grouping.rule-15-from',
      'groups.from-earliest',
      'groups.from-time',
      'replay.apart',
      'replay.from-and-to',
      'replay.from-time',
      'replay.until-now',
      'replay.whole',
      'replay.without-copies',
      'selecting.replay',
      'selecting.replay-fails',
    ],
  },
  'swap-received': {
    own: [
      'ordering.a-failing-key-holds-no-other',
      'ordering.failing-under-load',
      'ordering.rule-19-skip',
      'ordering.whole-topic',
      'send.to-a-group-in-order',
    ],
  },
  'swap-two': {
    own: [
      'order.hand-over',
      'order.handed-back',
      'order.one-member',
      'order.redelivered',
      'order.two-members',
      'ordering.across-members',
      'ordering.one-at-a-time',
      'ordering.rule-19-block',
      'send.in-order',
      'sending.rule-2-order-of-a-key',
      'settle.out-of-order',
    ],
  },
  'topics-hide-one': {
    own: ['ending.topics', 'topics.listed'],
  },
  'topics-without-groups': {
    own: ['topics.listed'],
  },
  'unmark-nothing': {
    own: ['settle.unmark'],
  },
}
