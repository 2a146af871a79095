// What adapters import; applications import `@posthorn/core` or `posthorn`.

export type { Keeper, KeeperContext, OpenKeeper } from '../broker/keeper.ts'
export {
  adapterOptions,
  anything,
  callable,
  checkOptions,
  checkValue,
  date,
  flag,
  ms,
  nearest,
  number,
  object,
  oneOf,
  plainName,
  type Rule,
  refused,
  type Shape,
  show,
  text,
  whole,
} from '../checked.ts'
export { arrivalOf, deliveryWith } from '../consuming/delivery.ts'
export type { ConsumerOverride } from '../consuming/settings.ts'
export { describe, type ErrorCode, isMessagingError, MessagingError } from '../errors.ts'
export { extension, type Inner, innerOf, type Subscribed, type Wheel } from '../extension.ts'
export type { ListedTopic } from '../face/operating.ts'
export { compileFilter, type Filterable } from '../filter/index.ts'
export { matches as patternMatches } from '../pattern.ts'
export type { TopicOverride } from '../topic.ts'
export { type AdapterPlan, defineAdapter, planOf } from './adapter.ts'
export { jittered, reconnectPause } from './backoff.ts'
export { type Clock, pause, systemClock, within } from './clock.ts'
export { type ConnectionUrl, parseConnectionUrl, urlText, withoutSecrets } from './connection-url.ts'
export type { Arrival, Dispatch, Envelope, Failure, Letter } from './envelope.ts'
export { newId } from './id.ts'
export { Loss, type LossListener } from './loss.ts'
export { type Mailbox, mailbox } from './mailbox.ts'
export { partitionOf } from './partition.ts'
export { patience, patiently } from './patience.ts'
export { noSuchShelf, noSuchTopic, topicIsRead } from './refusals.ts'
export { renewing } from './renewing.ts'
export type {
  Driver,
  DriverContext,
  DriverEvent,
  DriverLag,
  DriverQuery,
  From,
  GroupSpec,
  PatternSpec,
  SendControl,
  SendResult,
  Settled,
  Settlement,
  Shelf,
  ShelvedLetter,
  Source,
  SourceEvent,
  Subscription,
  TopicSpec,
  Traits,
} from './seam.ts'
export {
  type Claim,
  type ClaimedRow,
  type Claims,
  defineStore,
  type Held,
  type HeldRow,
  type HeldState,
  inboxSpace,
  inboxWindowMs,
  notedWindow,
  noteWindow,
  partsOf,
  type StoreParts,
} from './store.ts'
export { storeTraits } from './store-traits.ts'
export { telling } from './telling.ts'
export {
  type Decoded,
  decodeHeaders,
  decodePairs,
  encodeHeaders,
  isOwnHeader,
  letterReasons,
  type WireField,
  wireNames,
} from './wire.ts'
