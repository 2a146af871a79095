// The clients' own types. One of the two is enough, so a user's compiler may not find the other: that is no error, and what it does not find
// (`any`) must not swallow the type of the one that is there.

// biome-ignore lint/suspicious/noTsIgnore: it is an error only where this client is not installed
/** @ts-ignore not installed is no error */
import type { Admin as PlatformaticAdmin } from '@platformatic/kafka'
// biome-ignore lint/suspicious/noTsIgnore: it is an error only where this client is not installed
/** @ts-ignore not installed is no error */
import type { Kafka as KafkajsKafka } from 'kafkajs'

type Installed<T> = [T] extends [object] ? (unknown extends T ? never : T) : never

/** `Admin` of @platformatic/kafka; `never` where that is not installed. */
export type Admin = Installed<PlatformaticAdmin>
/** `Kafka` of kafkajs; `never` where that is not installed. */
export type Kafka = Installed<KafkajsKafka>
