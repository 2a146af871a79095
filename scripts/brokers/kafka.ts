import { createHash } from 'node:crypto'
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Broker, Launch, Process, Site } from './broker.ts'
import { makeCertificates } from './certificates.ts'
import { run } from './host-tools.ts'
import { coordinates } from './kafka-probe.ts'
import { password, scramUsers, secured, user } from './kafka-security.ts'
import { mavenJars } from './maven-jars.ts'
import { logFile } from './processes.ts'

/** The newest version whose command line tools were published, too. */
const version = '4.3.1'

/**
 * `proxied` is a second listener for fault tests: a fault proxy listens on `proxy`, which is what that listener advertises, and
 * forwards to `proxied`; clients that begin at `proxy` stay behind it.
 */
const ports = ['plain', 'controller', 'proxied', 'proxy'] as const

/** With security: SASL without and with TLS (a client's choice of mechanism), and TLS with a client certificate. */
const securePorts = [...ports, 'sasl', 'saslTls', 'tls'] as const

interface Variant {
  readonly name: string
  readonly summary: string
  readonly block: number
  readonly nodes: readonly string[]
  readonly heapMb: number
  readonly secure?: true
}

/** Brings the broker with its Java tools; gives the folder of the jars. */
export const kafkaJars = (): Promise<string> =>
  mavenJars({
    name: `kafka-${version}`,
    dependencies: [
      { at: `org.apache.kafka:kafka_2.13:${version}` },
      {
        at: `org.apache.kafka:kafka-tools:${version}`,
        without: ['org.apache.kafka:connect-runtime', 'org.apache.kafka:connect-api'],
      },
      // The broker brings slf4j 1.7 without a binding: without this one nothing is logged.
      { at: 'org.apache.logging.log4j:log4j-slf4j-impl:2.25.4' },
    ],
    sums: join(import.meta.dirname, 'kafka.sha256'),
    orSet: 'KAFKA_URL',
  })

const kafka = (variant: Variant): Broker => ({
  name: variant.name,
  summary: variant.summary,
  usual: variant.name === 'kafka',
  block: variant.block,
  stages: [Object.fromEntries(variant.nodes.map((node) => [node, variant.secure ? securePorts : ports]))],
  portsOfTests: ['proxy'],
  startMs: 120_000,
  install: kafkaJars,
  start: (site, process) => server(variant, site, process),
  ready: async (_site, process) => {
    if (!readFileSync(logFile(process.folder), 'utf8').includes('Kafka Server started'))
      return 'no ready line in the log'
    return coordinates(process.ports['plain']!)
  },
  url: ({ processes }) => {
    const [login, port] = variant.secure ? [`${user}:${password}@`, 'sasl'] : ['', 'plain']
    return `kafka://${login}${processes.map((each) => `127.0.0.1:${each.ports[port]}`)}`
  },
})

const server = async (variant: Variant, site: Site, process: Process): Promise<Launch> => {
  const { folder } = process
  const properties = join(folder, 'server.properties')
  if (variant.secure) await makeCertificates(join(folder, 'certificates'), user, 'KAFKA_SECURE_URL')
  writeFileSync(properties, configuration(variant, site, process))
  writeFileSync(join(folder, 'log4j2.xml'), logging)
  const classPath = join(site.tree, '*')
  if (!existsSync(join(folder, 'data', 'meta.properties'))) {
    mkdirSync(join(folder, 'data'), { recursive: true })
    const tool = ['-XX:TieredStopAtLevel=1', '-cp', classPath, 'kafka.tools.StorageTool']
    const scram = variant.secure ? scramUsers : []
    await run('java', [...tool, 'format', '-t', clusterId(site), '-c', properties, ...scram])
  }
  const memory = [`-Xms${variant.heapMb}m`, `-Xmx${variant.heapMb}m`, '-XX:+UseSerialGC', '-XX:+ExitOnOutOfMemoryError']
  const log = `-Dlog4j2.configurationFile=${join(folder, 'log4j2.xml')}`
  return { file: 'java', args: [...memory, log, '-cp', classPath, 'kafka.Kafka', properties] }
}

/** 22 characters, the same for every node of the broker; a first one that looks like an option would be taken for one. */
const clusterId = ({ folder }: Site): string =>
  createHash('md5').update(folder).digest('base64url').slice(0, 22).replace(/^-/, 'p')

type Lines = Readonly<Record<string, string | number | boolean>>

const configuration = (variant: Variant, site: Site, process: Process): string => {
  const { processes } = site
  const at = (port: string, of = process) => `127.0.0.1:${of.ports[port]}`
  const copies = Math.min(3, processes.length)
  const enough = copies === 3 ? 2 : 1
  const lines: Lines = {
    'process.roles': 'broker,controller',
    'node.id': nodeId(site, process),
    'controller.quorum.voters': processes.map((each) => `${nodeId(site, each)}@${at('controller', each)}`).join(','),
    listeners: `PLAINTEXT://${at('plain')},CONTROLLER://${at('controller')},PROXY://${at('proxied')}`,
    'advertised.listeners': `PLAINTEXT://${at('plain')},PROXY://${at('proxy')}`,
    'controller.listener.names': 'CONTROLLER',
    'inter.broker.listener.name': 'PLAINTEXT',
    'listener.security.protocol.map': 'PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT,PROXY:PLAINTEXT',
    'log.dirs': join(process.folder, 'data'),
    'default.replication.factor': copies,
    'min.insync.replicas': enough,
    // Few internal partitions and no wait for further members: tests begin many groups.
    'offsets.topic.replication.factor': copies,
    'offsets.topic.num.partitions': 4,
    'transaction.state.log.replication.factor': copies,
    'transaction.state.log.min.isr': enough,
    'transaction.state.log.num.partitions': 4,
    'share.coordinator.state.topic.replication.factor': copies,
    'share.coordinator.state.topic.min.isr': enough,
    'share.coordinator.state.topic.num.partitions': 4,
    'group.initial.rebalance.delay.ms': 0,
    // Tests wait for the end of sessions.
    'group.min.session.timeout.ms': 1000,
    // A node that was killed comes back only when its old registration has run out (9 s by default).
    'broker.session.timeout.ms': 4000,
    'broker.heartbeat.interval.ms': 500,
    'auto.create.topics.enable': false,
  }
  const all: Lines = { ...lines, ...(variant.secure ? secured(lines, process) : {}), ...site.settings }
  return Object.entries(all)
    .map(([key, value]) => `${key}=${value}\n`)
    .join('')
}

const nodeId = ({ processes }: Site, process: Process): number =>
  processes.findIndex(({ name }) => name === process.name) + 1

// At INFO the whole configuration would be printed; the ready line alone is wanted at that level.
const logging = `<Configuration>
  <Appenders><Console name="console"><PatternLayout pattern="%d %p %c{1} %m%n"/></Console></Appenders>
  <Loggers>
    <Logger name="kafka.server.KafkaRaftServer" level="INFO"/>
    <Root level="WARN"><AppenderRef ref="console"/></Root>
  </Loggers>
</Configuration>
`

/** Apache Kafka as the tests know it. */
export const kafkaBrokers: readonly Broker[] = [
  kafka({ name: 'kafka', summary: `Kafka ${version}, one KRaft node`, block: 100, nodes: ['n1'], heapMb: 512 }),
  kafka({
    name: 'kafka-cluster',
    summary: `Kafka ${version}, three KRaft nodes, min.insync.replicas 2`,
    block: 110,
    nodes: ['k1', 'k2', 'k3'],
    heapMb: 256,
  }),
  kafka({
    name: 'kafka-secure',
    summary: `Kafka ${version} with SASL (PLAIN, SCRAM, OAUTHBEARER) and TLS`,
    block: 130,
    nodes: ['n1'],
    heapMb: 256,
    secure: true,
  }),
]
