import { MessagingError } from '@posthorn/core/driver'
import type { Sql } from './sql.ts'

/** 'Post', so that `file` and we know whose a database is that holds nothing else. */
const applicationId = 0x506f7374
/** What a message consists of wherever it lies. `type` null: application/json, '': none. `head`: headers and rare fields as JSON. */
const message = 'id TEXT, key TEXT, tag TEXT, body BLOB, type TEXT, sent INTEGER, head TEXT'

/** What a group consists of beside its number. */
const group = `ns TEXT NOT NULL, kind TEXT NOT NULL, source TEXT NOT NULL, name TEXT NOT NULL, ord TEXT NOT NULL,
    filter TEXT, fence INTEGER NOT NULL DEFAULT 0, epoch INTEGER NOT NULL DEFAULT 0, alive INTEGER,
    UNIQUE (ns, kind, source, name)`

/**
 * The log holds a message once; a group is a cursor into it plus one small row for each message that it took in and has not settled. So a
 * send costs one row whatever the number of groups, a new group and a seek cost a number, and what is settled leaves no trace.
 *
 * `seq` is the topic's number times 2^39 plus the place in the topic: one table clustered by topic without a second index, and as many
 * messages per topic as a disk holds. Copies to one group (`grp`) lie in the log, too: that keeps them in order with the rest.
 *
 * A delivery is `state` 0 ready, 1 in somebody's hands under `claim`, 2 behind another of its lane, 3 ready from `sort` on. Of a lane either
 * some are in hand, or its first is 0 or 3; all others are 2. So a claim finds lanes by their first row and never reads past a blocked one.
 *
 * A held row `leads` where it has no lane or is the first of its lane in its state: only such a one can be claimed, and is found by its due time
 * however many stand behind others.
 */
const tables = [
  'CREATE TABLE posthorn_meta (name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID',
  `CREATE TABLE posthorn_topic (
    id INTEGER PRIMARY KEY, ns TEXT NOT NULL, name TEXT NOT NULL, partitions INTEGER, retention INTEGER, keyed INTEGER,
    reply INTEGER NOT NULL DEFAULT 0, priority INTEGER NOT NULL DEFAULT 0, freed INTEGER NOT NULL DEFAULT 0,
    top INTEGER NOT NULL DEFAULT 0, UNIQUE (ns, name))`,
  `CREATE TABLE posthorn_group (
    id INTEGER PRIMARY KEY, ${group})`,
  'CREATE TABLE posthorn_cursor (grp INTEGER, topic INTEGER, at INTEGER NOT NULL, PRIMARY KEY (grp, topic)) WITHOUT ROWID',
  'CREATE INDEX posthorn_cursor_topic ON posthorn_cursor (topic)',
  `CREATE TABLE posthorn_message (seq INTEGER PRIMARY KEY, at INTEGER NOT NULL, grp TEXT, due INTEGER, ${message})`,
  'CREATE INDEX posthorn_message_due ON posthorn_message (id) WHERE due IS NOT NULL',
  `CREATE TABLE posthorn_delivery (
    grp INTEGER, ord INTEGER, state INTEGER NOT NULL, sort INTEGER, claim INTEGER, until INTEGER, lane TEXT, due INTEGER,
    starts INTEGER NOT NULL DEFAULT 0, failures INTEGER, history TEXT, lone INTEGER, PRIMARY KEY (grp, ord)) WITHOUT ROWID`,
  'CREATE INDEX posthorn_delivery_next ON posthorn_delivery (grp, state, sort, ord) WHERE sort IS NOT NULL',
  'CREATE INDEX posthorn_delivery_lane ON posthorn_delivery (grp, lane, state, ord) WHERE lane IS NOT NULL',
  `CREATE TABLE posthorn_claim (
    grp INTEGER, no INTEGER, until INTEGER NOT NULL, low INTEGER NOT NULL, high INTEGER NOT NULL, remaining INTEGER NOT NULL,
    PRIMARY KEY (grp, no)) WITHOUT ROWID`,
  `CREATE TABLE posthorn_delayed (
    no INTEGER PRIMARY KEY, topic INTEGER NOT NULL, due INTEGER NOT NULL, grp TEXT, ${message})`,
  'CREATE INDEX posthorn_delayed_due ON posthorn_delayed (due)',
  'CREATE INDEX posthorn_delayed_id ON posthorn_delayed (topic, id)',
  `CREATE TABLE posthorn_letter (
    no INTEGER PRIMARY KEY, ns TEXT NOT NULL, topic TEXT NOT NULL, grp TEXT, at INTEGER NOT NULL, ${message})`,
  'CREATE INDEX posthorn_letter_shelf ON posthorn_letter (ns, topic, grp, no)',
  `CREATE TABLE posthorn_held (
    no INTEGER PRIMARY KEY AUTOINCREMENT, ns TEXT NOT NULL, ref TEXT NOT NULL, state TEXT NOT NULL, lane TEXT, due INTEGER NOT NULL,
    tries INTEGER NOT NULL, fence INTEGER NOT NULL DEFAULT 0, until INTEGER NOT NULL DEFAULT 0, leads INTEGER NOT NULL,
    topic TEXT NOT NULL, spec TEXT, ${message}, UNIQUE (ns, ref))`,
  'CREATE INDEX posthorn_held_due ON posthorn_held (ns, state, leads, due, no)',
  'CREATE INDEX posthorn_held_lane ON posthorn_held (ns, lane, state, no) WHERE lane IS NOT NULL',
  'CREATE INDEX posthorn_held_leased ON posthorn_held (ns, state, until) WHERE until > 0',
  'CREATE INDEX posthorn_held_taken ON posthorn_held (ns, lane, until) WHERE until > 0 AND lane IS NOT NULL',
  `CREATE TABLE posthorn_name (
    ns TEXT, space TEXT, name TEXT, token INTEGER NOT NULL, owner TEXT, until INTEGER NOT NULL, done INTEGER NOT NULL, result TEXT,
    PRIMARY KEY (ns, space, name)) WITHOUT ROWID`,
  'CREATE INDEX posthorn_name_until ON posthorn_name (until)',
  'CREATE TABLE posthorn_bucket (ns TEXT, space TEXT, name TEXT, tokens REAL NOT NULL, at INTEGER NOT NULL, PRIMARY KEY (ns, space, name)) WITHOUT ROWID',
] as const

/** The number of a group is never given again: a member that has not heard yet that its group was removed must not read as another. */
const groupsNumberedOnce = [
  `CREATE TABLE posthorn_group_new (id INTEGER PRIMARY KEY AUTOINCREMENT, ${group})`,
  'INSERT INTO posthorn_group_new SELECT id, ns, kind, source, name, ord, filter, fence, epoch, alive FROM posthorn_group',
  'DROP TABLE posthorn_group',
  'ALTER TABLE posthorn_group_new RENAME TO posthorn_group',
] as const

/** What leads from a version to the next; the first makes version 1. A step is never changed: files of its version are on disks. */
export const migrations: readonly (readonly string[])[] = [tables, groupsNumberedOnce]

/** Written to `posthorn_meta`, not to `user_version`: that one is the application's own, whose tables may live in the same file. */
export const schemaVersion = migrations.length

const ours: ReadonlySet<string> = new Set(tables.flatMap((text) => /^CREATE TABLE (\w+)/.exec(text)?.[1] ?? []))

/** The version in the file at `path`; 0 where it has none of our tables. Refuses another's tables of our names. */
export function versionOf({ database }: Sql, path: string): number {
  const names = database
    .prepare("SELECT name FROM sqlite_schema WHERE name GLOB 'posthorn_*'")
    .all()
    .map(({ name }) => String(name))
    .filter((name) => ours.has(name))
  if (names.length === 0) return 0
  const columns = database.prepare("SELECT 1 FROM pragma_table_info('posthorn_meta') WHERE name IN ('name', 'value')")
  const version =
    columns.all().length === 2
      ? database.prepare("SELECT value FROM posthorn_meta WHERE name = 'version'").get()?.['value']
      : undefined
  if (Number.isInteger(version) && Number(version) > 0) return Number(version)
  throw new MessagingError(
    'invalid',
    `${path} has tables of the name ${names.sort().join(', ')} that are not Posthorn's; name another file, or rename them`,
  )
}

/** Brings the tables to this version, within the caller's write transaction: of many who start at once one does it. */
export function migrate(sql: Sql, path: string, steps: readonly (readonly string[])[] = migrations): void {
  const found = versionOf(sql, path)
  if (found > steps.length)
    throw new MessagingError(
      'unsupported',
      `${path} was written by a newer Posthorn (tables of version ${found}, this one knows ${steps.length}); upgrade @posthorn/sqlite`,
    )
  if (found === steps.length) return
  const empty = Number(sql.database.prepare('SELECT count(*) AS n FROM sqlite_schema').get()?.['n']) === 0
  for (const step of steps.slice(found)) for (const text of step) sql.database.exec(text)
  sql.database
    .prepare("INSERT INTO posthorn_meta VALUES ('version', ?) ON CONFLICT DO UPDATE SET value = excluded.value")
    .run(steps.length)
  // A file that holds an application's tables may bear the application's mark.
  if (empty) sql.database.exec(`PRAGMA application_id = ${applicationId}`)
}
