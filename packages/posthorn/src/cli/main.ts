#!/usr/bin/env node
import { parseArgs } from 'node:util'
import { isMessagingError } from '@posthorn/core'
import { configuration } from '../configuration.ts'
import { connect } from '../connect.ts'
import { type Answer, type Call, commands, withoutTopic } from './commands.ts'

const usage = `posthorn dead-letters list|show|redrive|discard --topic T --group G [--id I] [--reason R] [--limit N] [--rate N] [--beyond-inbox] [--yes]
posthorn lag --topic T --group G
posthorn topics list
posthorn topics delete --topic T [--yes]
posthorn health
posthorn explain --topic T --group G

The broker comes from posthorn.json (or POSTHORN_CONFIG), POSTHORN_URL and POSTHORN_STORE, or --url and --store.
--json prints one JSON value. What changes something does so only with --yes, and says before how much it would be.
Exit code: 0 done, 1 not healthy or not all done, 2 wrong call.`

async function main(): Promise<number> {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      topic: { type: 'string' },
      group: { type: 'string' },
      id: { type: 'string' },
      reason: { type: 'string' },
      limit: { type: 'string', default: '100' },
      rate: { type: 'string' },
      url: { type: 'string' },
      store: { type: 'string' },
      namespace: { type: 'string' },
      json: { type: 'boolean', default: false },
      yes: { type: 'boolean', default: false },
      'beyond-inbox': { type: 'boolean', default: false },
      help: { type: 'boolean', default: false },
    },
  })
  const name = positionals.join(' ')
  const command = Object.hasOwn(commands, name) ? commands[name] : undefined
  if (values.help || command === undefined) {
    process.stdout.write(`${usage}\n`)
    return values.help ? 0 : 2
  }
  if (values.topic === undefined && !withoutTopic.includes(name))
    throw new Refused(`${name}: say which topic by --topic`)
  const { url, store, namespace } = values
  const configured = await configuration({ over: { url, store, namespace, log: false } })
  const call: Call = {
    topic: values.topic ?? '',
    mapped: configured.topics?.[values.topic ?? '']?.on !== undefined,
    group: values.group,
    id: values.id,
    reason: values.reason,
    limit: count('limit', values.limit),
    ratePerSecond: values.rate === undefined ? undefined : count('rate', values.rate),
    yes: values.yes,
    beyondInbox: values['beyond-inbox'],
    progress: (text) => void process.stderr.write(`${text}\n`),
  }
  await using broker = await connect(configured)
  return tell(await command(broker, call), values.json)
}

class Refused extends Error {}

function count(name: string, text: string): number {
  const value = Number(text)
  if (!Number.isInteger(value) || value < 1) throw new Refused(`--${name} is ${text}; give a whole number from 1`)
  return value
}

function tell({ value, lines, failed = false }: Answer, json: boolean): number {
  process.stdout.write(`${json ? JSON.stringify(value, undefined, 2) : lines.join('\n')}\n`)
  return failed ? 1 : 0
}

try {
  process.exitCode = await main()
} catch (error) {
  const wrongCall =
    error instanceof Refused || (error as { readonly code?: string }).code?.startsWith('ERR_PARSE_ARGS') === true
  process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`)
  process.exitCode = wrongCall || isMessagingError(error, 'invalid') ? 2 : 1
}
