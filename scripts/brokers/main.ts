import { parseArgs } from 'node:util'
import { urlVariable } from './broker.ts'
import { brokerNamed, brokers } from './catalogue.ts'
import * as lifecycle from './lifecycle.ts'

const usage = `pnpm brokers start [name...] [--set key=value...]   installs, starts and waits (without a name: ${brokers
  .filter(({ usual }) => usual)
  .map(({ name }) => name)
  .join(', ')})
             stop [name...]      ends what runs, data kept
             status [name...]    what runs, where, in how much memory
             url <name>          the connection URL alone
             logs [name...]      the last lines of each log
             reset <name...>     an empty broker

names:
${brokers.map(({ name, summary }) => `  ${name.padEnd(20)} ${summary}; or ${urlVariable(name)}`).join('\n')}
`

const say = (text: string): void => void process.stdout.write(`${text}\n`)

const settingsOf = (pairs: readonly string[]): Record<string, string> =>
  Object.fromEntries(
    pairs.map((pair) => {
      const at = pair.indexOf('=')
      if (at < 1) throw new Error(`--set ${pair}: give key=value, a line of the broker's own configuration`)
      return [pair.slice(0, at), pair.slice(at + 1)]
    }),
  )

const running = (name: string): boolean => lifecycle.status(name).some(({ state }) => state !== 'stopped')

const describe = (name: string): string => {
  const given = lifecycle.givenUrl(name)
  if (given !== undefined) return `${name.padEnd(20)} given by ${urlVariable(name)}`
  const nodes = lifecycle.status(name)
  const shown = nodes.map(
    ({ node, state, memoryMb }) => `${node} ${state}${state === 'stopped' ? '' : ` ${memoryMb} MB`}`,
  )
  return `${name.padEnd(20)} ${lifecycle.url(name)}  ${shown.join(', ')}`
}

const start = async (name: string, settings: Record<string, string> | undefined): Promise<void> => {
  const begin = performance.now()
  await lifecycle.ensure(name, settings === undefined ? {} : { settings })
  say(`${describe(name)}  ready in ${((performance.now() - begin) / 1000).toFixed(1)} s`)
}

const commands: Record<string, (names: readonly string[], set: readonly string[] | undefined) => Promise<void> | void> =
  {
    start: async (names, set) => {
      const wanted = names.length > 0 ? names : brokers.filter(({ usual }) => usual).map(({ name }) => name)
      for (const name of wanted) await start(name, set && settingsOf(set))
    },
    stop: async (names) => {
      const wanted = names.length > 0 ? names : brokers.map(({ name }) => name).filter(running)
      await Promise.all(wanted.map(lifecycle.stop))
      for (const name of wanted) say(`${name} stopped`)
    },
    status: (names) => {
      for (const name of names.length > 0 ? names : brokers.map((each) => each.name)) say(describe(name))
    },
    url: (names) => {
      if (names.length !== 1) throw new Error(`url takes one name: ${brokers.map(({ name }) => name).join(', ')}`)
      say(lifecycle.url(names[0]!))
    },
    logs: (names) => {
      const wanted = names.length > 0 ? names : brokers.map(({ name }) => name).filter(running)
      for (const name of wanted) for (const { file, text } of lifecycle.logs(name)) say(`==> ${file}\n${text}`)
    },
    reset: async (names) => {
      if (names.length === 0) throw new Error('reset deletes data: name the brokers')
      for (const name of names) say(`${name.padEnd(20)} ${await lifecycle.reset(name)}  empty`)
    },
  }

const main = async (): Promise<void> => {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: { set: { type: 'string', multiple: true }, help: { type: 'boolean', short: 'h' } },
  })
  const [command = '', ...names] = positionals
  const work = commands[command]
  if (values.help || work === undefined) {
    say(usage)
    process.exitCode = values.help || command === '' ? 0 : 2
    return
  }
  for (const name of names) brokerNamed(name)
  await work(names, values.set)
}

main().catch((error: unknown) => {
  process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`)
  process.exitCode = 1
})
