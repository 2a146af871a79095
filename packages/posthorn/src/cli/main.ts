#!/usr/bin/env node
import { parseArgs } from 'node:util'
import { type DeadLetter, isMessagingError } from '@posthorn/core'
import { letterReasons, nearest } from '@posthorn/core/driver'
import { configuration } from '../configuration.ts'
import { connect } from '../connect.ts'
import { type Answer, type Call, type Command, commands, withoutTopic } from './commands.ts'

const usage = `posthorn dead-letters list|show|redrive|discard --topic T [--group G] [--id I] [--reason R] [--limit N] [--rate N] [--beyond-inbox] [--yes]
posthorn lag --topic T --group G
posthorn topics list
posthorn topics delete --topic T [--yes]
posthorn health
posthorn explain --topic T --group G

A topic with wildcards ('orders.*') is a pattern, for lag and explain. Without --group dead letters are those that reached no group.
The broker comes from posthorn.json (or POSTHORN_CONFIG), POSTHORN_URL and POSTHORN_STORE, or --url and --store.
--json prints one JSON value. What changes something does so only with --yes, and says before how much it would be.
Exit code: 0 done, 1 not healthy or not all done, 2 wrong call.`

/** What every command takes. */
const general: readonly string[] = ['url', 'store', 'namespace', 'json', 'help']

async function main(): Promise<number> {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      topic: { type: 'string' },
      group: { type: 'string' },
      id: { type: 'string' },
      reason: { type: 'string' },
      limit: { type: 'string' },
      rate: { type: 'string' },
      url: { type: 'string' },
      store: { type: 'string' },
      namespace: { type: 'string' },
      json: { type: 'boolean', default: false },
      yes: { type: 'boolean' },
      'beyond-inbox': { type: 'boolean' },
      help: { type: 'boolean', short: 'h', default: false },
    },
  })
  const name = positionals.join(' ')
  if (values.help || name === 'help') {
    process.stdout.write(`${usage}\n`)
    return 0
  }
  const command = commandOf(name, values)
  if (values.topic === undefined && !withoutTopic.includes(name))
    throw new Refused(`${name}: say which topic by --topic`)
  const { url, store, namespace } = values
  const configured = await configuration({ over: { url, store, namespace, log: false } })
  const call: Call = {
    topic: values.topic ?? '',
    mapped: configured.topics?.[values.topic ?? '']?.on !== undefined,
    group: values.group,
    id: values.id,
    reason: values.reason === undefined ? undefined : reasonOf(values.reason),
    limit: count('limit', values.limit ?? '100'),
    ratePerSecond: values.rate === undefined ? undefined : count('rate', values.rate),
    yes: values.yes ?? false,
    beyondInbox: values['beyond-inbox'] ?? false,
    progress: (text) => void process.stderr.write(`${text}\n`),
  }
  await using broker = await connect(configured)
  return tell(await command.run(broker, call), values.json)
}

class Refused extends Error {}

/** The command of that name, if it takes what it was given. */
function commandOf(name: string, given: Readonly<Record<string, unknown>>): Command {
  const names = Object.keys(commands)
  const found = Object.hasOwn(commands, name) ? commands[name] : undefined
  if (found === undefined) {
    const begins = names.filter((each) => each.startsWith(`${name} `))
    const near = nearest(name, names)
    const hint =
      begins.length > 0 || near === undefined
        ? `there are ${(begins.length > 0 ? begins : names).join(', ')}`
        : `did you mean ${near}?`
    throw new Refused(
      name === '' ? `say which command:\n${usage}` : `there is no command ${name}; ${hint} (posthorn --help tells all)`,
    )
  }
  const strange = Object.keys(given).find((each) => !general.includes(each) && !found.takes.includes(each))
  if (strange !== undefined)
    throw new Refused(
      `${name} takes no --${strange}; it takes ${[...found.takes, ...general].map((each) => `--${each}`).join(' ')}`,
    )
  return found
}

function reasonOf(text: string): DeadLetter['reason'] {
  const found = letterReasons.find((each) => each === text)
  if (found === undefined) throw new Refused(`--reason is ${text}; give one of ${letterReasons.join(', ')}`)
  return found
}

function count(name: string, text: string): number {
  const value = Number(text)
  if (!Number.isInteger(value) || value < 1) throw new Refused(`--${name} is ${text}; give a whole number from 1`)
  return value
}

function tell({ value, lines, note, failed = false }: Answer, json: boolean): number {
  if (note !== undefined) process.stderr.write(`${note}\n`)
  process.stdout.write(`${json ? JSON.stringify(value, undefined, 2) : lines.join('\n')}\n`)
  return failed ? 1 : 0
}

/** What went wrong. Node explains an unknown option by how to give a positional argument, which nobody meant. */
function said(error: unknown): string {
  if (!(error instanceof Error)) return String(error)
  const [, option] = /^Unknown option '([^']+)'/.exec(error.message) ?? []
  return option === undefined ? error.message : `there is no option ${option} (posthorn --help tells all)`
}

// Who reads the answer may have enough of it (`| head`).
for (const stream of [process.stdout, process.stderr])
  stream.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code !== 'EPIPE') throw error
  })

try {
  process.exitCode = await main()
} catch (error) {
  const wrongCall =
    error instanceof Refused || (error as { readonly code?: string }).code?.startsWith('ERR_PARSE_ARGS') === true
  process.stderr.write(`${said(error)}\n`)
  process.exitCode = wrongCall || isMessagingError(error, 'invalid') ? 2 : 1
}
