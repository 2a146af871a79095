import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type Broker, type Process, type Site, slug, urlVariable } from './broker.ts'
import { brokerNamed } from './catalogue.ts'
import { type Certificates, certificatesIn } from './certificates.ts'
import { Hopeless, until } from './condition.ts'
import { run } from './host-tools.ts'
import { locked } from './lock.ts'
import { complaints, logTail } from './log.ts'
import { brokersFolder, checkout } from './places.ts'
import { portBase, portsOf, takenPorts } from './ports.ts'
import * as processes from './processes.ts'

type Settings = Readonly<Record<string, string>>

/** What a start may be told. */
export interface StartOptions {
  /**
   * Lines of the broker's own configuration (`consumer_timeout: '5000'` in ms). A broker that runs with others is started again with these, its data
   * kept; without this option a running broker is taken as it is. They hold until `stop`.
   */
  readonly settings?: Settings
}

const folderOf = (broker: Broker): string => join(brokersFolder, slug(broker.name))

const layout = (broker: Broker): Omit<Site, 'tree'> => {
  const folder = folderOf(broker)
  const all = [...portsOf(broker, portBase(checkout))]
  return {
    folder,
    processes: all.map(([name, ports]) => ({ name, ports, folder: join(folder, name) })),
    settings: readSettings(broker),
  }
}

const settingsFile = (broker: Broker): string => join(folderOf(broker), 'settings.json')

const readSettings = (broker: Broker): Settings =>
  existsSync(settingsFile(broker)) ? (JSON.parse(readFileSync(settingsFile(broker), 'utf8')) as Settings) : {}

const exclusively = <T>(broker: Broker, work: () => Promise<T>): Promise<T> =>
  locked(join(brokersFolder, 'locks', slug(broker.name)), work, () =>
    process.stderr.write(`waiting for another command on ${broker.name}\n`),
  )

/** The URL of a broker that the environment names in place of ours (`RABBITMQ_URL`, ...), if it does. */
export const givenUrl = (name: string): string | undefined => process.env[urlVariable(name)] || undefined

/** The connection URL of a broker, running or not. */
export const url = (name: string): string => {
  const broker = brokerNamed(name)
  return givenUrl(name) ?? broker.url(layout(broker))
}

/** The ports of one process of a broker by name; without a name, of its first server. */
export const portsOfNode = (name: string, node?: string): Readonly<Record<string, number>> => nodeOf(name, node).ports

/** The certificates of a broker with TLS (`rabbitmq-tls`, `kafka-secure`), made at its first start. */
export const certificatesOf = (name: string): Certificates =>
  certificatesIn(join(nodeOf(name, undefined).folder, 'certificates'))

/** The names of a broker's servers, those that faults are injected into. */
export const nodesOf = (name: string): readonly string[] => Object.keys(brokerNamed(name).stages.at(-1)!)

/**
 * Sees to it that a broker runs and serves, and gives its URL. Harmless when it runs already, and when several processes ask at
 * once. Where the environment names a broker, that one's URL is given and nothing is started.
 */
export const ensure = async (name: string, options: StartOptions = {}): Promise<string> => {
  const given = givenUrl(name)
  if (given !== undefined) return given
  const broker = brokerNamed(name)
  return exclusively(broker, async () => {
    const wanted = options.settings
    if (wanted !== undefined && !sameSettings(wanted, readSettings(broker))) {
      await endAll(broker)
      mkdirSync(folderOf(broker), { recursive: true })
      writeFileSync(settingsFile(broker), JSON.stringify(wanted))
    }
    try {
      await bringUp(broker)
    } catch (error) {
      // Nothing half started is left, nor settings that the next start would fail on.
      await endAll(broker)
      rmSync(settingsFile(broker), { force: true })
      throw error
    }
    return broker.url(layout(broker))
  })
}

const sameSettings = (a: Settings, b: Settings): boolean =>
  JSON.stringify(Object.entries(a).sort()) === JSON.stringify(Object.entries(b).sort())

const bringUp = async (broker: Broker): Promise<void> => {
  const site: Site = { ...layout(broker), tree: await broker.install() }
  for (const stage of broker.stages) {
    const members = site.processes.filter(({ name }) => name in stage)
    await Promise.all(members.map((member) => launchOrContinue(broker, site, member)))
    await Promise.all(members.map((member) => serving(broker, site, member)))
  }
  await until(() => broker.formed?.(site), { withinMs: broker.startMs })
}

/** The last thread of a process that has just ended may hold its ports for a moment yet. */
const lingerMs = 2_000

/** Those of some ports that do not come free. */
const stillTaken = async (ports: readonly number[]): Promise<readonly number[]> => {
  let taken: readonly number[] = []
  const look = async (): Promise<string | undefined> => {
    taken = await takenPorts(ports)
    return taken.length === 0 ? undefined : `${taken} are taken`
  }
  await until(look, { withinMs: lingerMs, everyMs: 50 }).catch(() => {})
  return taken
}

const launchOrContinue = async (broker: Broker, site: Site, member: Process): Promise<void> => {
  const state = processes.stateOf(member.folder)
  if (state === 'frozen') processes.signalAll(member.folder, 'SIGCONT')
  if (state !== 'stopped') return
  const own = Object.entries(member.ports).filter(([name]) => !broker.portsOfTests?.includes(name))
  const taken = await stillTaken(own.map(([, port]) => port))
  if (taken.length > 0) {
    throw new Error(
      `${broker.name}: ${member.name} was not started: another program listens on ${taken.join(', ')}. End it, or move this checkout's ports with POSTHORN_PORT_BASE`,
    )
  }
  mkdirSync(member.folder, { recursive: true })
  processes.launch(member, await broker.start(site, member))
}

/** Waits until a process serves. Fails as soon as it has ended, and shows what it wrote last. */
const serving = async (broker: Broker, site: Site, member: Process): Promise<void> => {
  const missing = async () => {
    if (processes.stateOf(member.folder) === 'stopped') throw new Hopeless('it ended by itself')
    return broker.ready(site, member)
  }
  try {
    await until(missing, { withinMs: broker.startMs })
  } catch (error) {
    const file = processes.logFile(member.folder)
    const reason = error instanceof Error ? error.message : String(error)
    const ports = Object.entries(member.ports).map(([name, port]) => `${name} ${port}`)
    const first = complaints(file, 5)
    const cause = first === '' ? ' ' : ` It complained first:\n${first}\n`
    throw new Error(
      `${broker.name}: ${member.name} did not start: ${reason}.${cause}Its ports: ${ports.join(', ')} (POSTHORN_PORT_BASE moves them). The last lines of ${file}:\n${logTail(file, 40)}`,
    )
  }
}

const endAll = async (broker: Broker): Promise<void> => {
  const all = layout(broker).processes
  for (const stage of broker.stages.toReversed()) {
    await Promise.all(all.filter(({ name }) => name in stage).map(({ folder }) => processes.end(folder)))
  }
}

/** Ends a broker and waits until it is gone; its data is kept, its settings are forgotten. */
export const stop = async (name: string): Promise<void> => {
  const broker = brokerNamed(name)
  await exclusively(broker, async () => {
    await endAll(broker)
    rmSync(settingsFile(broker), { force: true })
  })
}

/** Ends a broker, deletes its data and starts it again, empty, with the settings that it had. */
export const reset = async (name: string): Promise<string> => {
  const broker = brokerNamed(name)
  if (givenUrl(name) !== undefined) throw notOurs(name)
  return exclusively(broker, async () => {
    const killed = layout(broker).processes.map(({ folder }) => processes.kill(folder))
    await Promise.all(killed)
    const keep = readSettings(broker)
    rmSync(folderOf(broker), { recursive: true, force: true })
    mkdirSync(folderOf(broker), { recursive: true })
    writeFileSync(settingsFile(broker), JSON.stringify(keep))
    await bringUp(broker)
    return broker.url(layout(broker))
  })
}

const notOurs = (name: string): Error =>
  new Error(
    `${urlVariable(name)} is set, so ${name} is not a broker of this checkout: unset it to start one that can be broken`,
  )

const nodeOf = (name: string, node: string | undefined): Process => {
  const broker = brokerNamed(name)
  const wanted = node ?? nodesOf(name)[0]!
  const found = layout(broker).processes.find((each) => each.name === wanted)
  if (found === undefined)
    throw new Error(`${name} has no node ${JSON.stringify(wanted)}: there are ${nodesOf(name).join(', ')}`)
  return found
}

const faultOn = (name: string, node: string | undefined): Process => {
  if (givenUrl(name) !== undefined) throw notOurs(name)
  return nodeOf(name, node)
}

/** SIGKILL on one node (the first without a name), as a power cut; waits until it is gone. Its data stays. */
export const killNode = (name: string, node?: string): Promise<void> => processes.kill(faultOn(name, node).folder)

/** SIGSTOP on one node: its connections stay open and nothing answers. */
export const freezeNode = (name: string, node?: string): void =>
  processes.signalAll(faultOn(name, node).folder, 'SIGSTOP')

/** SIGCONT on a frozen node. */
export const continueNode = (name: string, node?: string): void =>
  processes.signalAll(faultOn(name, node).folder, 'SIGCONT')

/** SIGTERM on one node, and waits until it is gone: a clean restart's first half. */
export const stopNode = (name: string, node?: string): Promise<void> => processes.end(faultOn(name, node).folder)

/** Starts a node that was killed or stopped, with the data that it had, and waits until it serves. */
export const startNode = async (name: string, node?: string): Promise<void> => {
  const member = faultOn(name, node)
  const broker = brokerNamed(name)
  await exclusively(broker, async () => {
    const site: Site = { ...layout(broker), tree: await broker.install() }
    await launchOrContinue(broker, site, member)
    await serving(broker, site, member)
  })
}

/** Runs the broker's own command line tool against one node, and gives what it wrote. */
export const control = async (name: string, args: readonly string[], node?: string): Promise<string> => {
  const member = faultOn(name, node)
  const broker = brokerNamed(name)
  if (broker.control === undefined) throw new Error(`${name} has no tool of its own here`)
  const {
    file,
    args: all,
    env = {},
  } = broker.control({ ...layout(broker), tree: await broker.install() }, member, args)
  return run(file, all, { cwd: member.folder, env })
}

/** How each process of a broker is doing. */
export const status = (name: string): readonly { node: string; state: string; memoryMb: number }[] =>
  layout(brokerNamed(name)).processes.map(({ name: node, folder }) => ({
    node,
    state: processes.stateOf(folder),
    memoryMb: Math.round(processes.memoryOf(folder)),
  }))

/** The last lines of each log of a broker. */
export const logs = (name: string, lines = 100): readonly { node: string; file: string; text: string }[] =>
  layout(brokerNamed(name)).processes.map(({ name: node, folder }) => {
    const file = processes.logFile(folder)
    return { node, file, text: logTail(file, lines) }
  })
