import { createHash } from 'node:crypto'
import { chmodSync, globSync, mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Broker, Launch, Process, Site } from './broker.ts'
import { certificatesIn, makeCertificates } from './certificates.ts'
import { debianTree } from './debian-packages.ts'
import { joined, listens, serves } from './rabbitmq-probe.ts'

const serverPorts = ['amqp', 'management', 'prometheus', 'stream', 'distribution', 'amqps'] as const

interface Variant {
  readonly name: string
  readonly summary: string
  readonly block: number
  readonly suite: 'bookworm' | 'trixie' | 'forky'
  readonly nodes: readonly string[]
  /** TLS beside the plain listener; a client certificate is asked for, and is enough to log in by (EXTERNAL). */
  readonly tls?: true
}

const packages = (suite: Variant['suite']): readonly string[] => {
  const libraries = 'libc6 libgcc-s1 libstdc++6 libtinfo6 libncursesw6 zlib1g libzstd1 libatomic1 libsystemd0 libcap2'
  const erlang =
    'asn1 base crypto eldap inets mnesia os-mon parsetools public-key runtime-tools ssl syntax-tools tools xmerl'
  return [
    ...libraries.split(' '),
    suite === 'bookworm' ? 'libssl3' : 'libssl3t64',
    ...erlang.split(' ').map((part) => `erlang-${part}`),
    'rabbitmq-server',
  ]
}

const plugins = ({ suite, tls }: Variant): readonly string[] => [
  'rabbitmq_management',
  'rabbitmq_prometheus',
  'rabbitmq_stream',
  'rabbitmq_stream_management',
  'rabbitmq_consistent_hash_exchange',
  'rabbitmq_shovel',
  ...(suite === 'bookworm' ? ['rabbitmq_amqp1_0'] : []), // in the core from 4.0 on
  ...(tls ? ['rabbitmq_auth_mechanism_ssl'] : []),
]

const rabbitmq = (variant: Variant): Broker => ({
  name: variant.name,
  summary: variant.summary,
  usual: variant.name === 'rabbitmq',
  block: variant.block,
  stages: [{ epmd: ['epmd'] }, Object.fromEntries(variant.nodes.map((node) => [node, serverPorts]))],
  startMs: 90_000,
  install: () =>
    debianTree({ name: 'rabbitmq', suite: variant.suite, packages: packages(variant.suite), orSet: 'RABBITMQ_URL' }),
  start: (site, process) => (process.name === 'epmd' ? portMapper(site, process) : server(variant, site, process)),
  ready: (_site, process) => (process.name === 'epmd' ? listens(process.ports['epmd']!) : serves(process)),
  formed: (site) => joined(servers(site)),
  control: (site, process, args) => ({
    file: join(site.tree, sbinIn(site.tree), 'rabbitmqctl'),
    args: ['--node', nodeName(process), '--longnames', ...args],
    env: environment(site, process),
  }),
  url: (site) => {
    const [scheme, port] = variant.tls ? ['amqps', 'amqps'] : ['amqp', 'amqp']
    return `${scheme}://guest:guest@${servers(site).map(({ ports }) => `127.0.0.1:${ports[port]}`)}`
  },
})

const servers = ({ processes }: Pick<Site, 'processes'>): readonly Process[] =>
  processes.filter(({ name }) => name !== 'epmd')

/** Erlang's port mapper, one per broker, so that no node starts one that nobody would end. */
const portMapper = async (site: Site, { ports }: Process): Promise<Launch> => ({
  file: join(site.tree, 'usr/lib/erlang/bin/epmd'),
  args: ['-address', '127.0.0.1', '-port', String(ports['epmd'])],
})

const server = async (variant: Variant, site: Site, process: Process): Promise<Launch> => {
  const { folder } = process
  if (variant.tls) await makeCertificates(join(folder, 'certificates'), 'guest', 'RABBITMQ_TLS_URL')
  writeFileSync(join(folder, 'env.conf'), '')
  writeFileSync(join(folder, 'enabled_plugins'), `[${plugins(variant).join(',')}].\n`)
  writeFileSync(join(folder, 'rabbitmq.conf'), configuration(variant, site, process))
  return { file: join(site.tree, sbinIn(site.tree), 'rabbitmq-server'), args: [], env: environment(site, process) }
}

/** The folder of its programs. */
const sbinIn = (tree: string): string => {
  const [sbin] = globSync('usr/lib/rabbitmq/lib/rabbitmq_server-*/sbin', { cwd: tree })
  if (sbin === undefined) throw new Error(`no RabbitMQ in ${tree}: delete that folder and start again`)
  return sbin
}

/** A home folder with the secret by which the nodes of this broker, and nobody else's, know each other. */
const home = (site: Site, { folder }: Process): string => {
  const own = join(folder, 'home')
  const cookie = join(own, '.erlang.cookie')
  mkdirSync(own, { recursive: true })
  rmSync(cookie, { force: true })
  writeFileSync(cookie, createHash('sha256').update(site.folder).digest('hex').toUpperCase())
  chmodSync(cookie, 0o400)
  return own
}

const environment = (site: Site, process: Process): Readonly<Record<string, string>> => {
  const { folder, ports } = process
  return {
    HOME: home(site, process),
    PATH: `${join(site.tree, 'usr/lib/erlang/bin')}:${globalThis.process.env['PATH']}`,
    ERL_EPMD_PORT: String(site.processes.find(({ name }) => name === 'epmd')!.ports['epmd']),
    ERL_EPMD_ADDRESS: '127.0.0.1',
    RABBITMQ_CONF_ENV_FILE: join(folder, 'env.conf'), // else the host's is read
    RABBITMQ_NODENAME: nodeName(process),
    RABBITMQ_USE_LONGNAME: 'true', // no host name, no name service
    RABBITMQ_NODE_PORT: String(ports['amqp']),
    RABBITMQ_NODE_IP_ADDRESS: '127.0.0.1',
    RABBITMQ_DIST_PORT: String(ports['distribution']),
    RABBITMQ_BASE: folder,
    RABBITMQ_MNESIA_BASE: join(folder, 'mnesia'),
    RABBITMQ_LOG_BASE: join(folder, 'server-log'),
    RABBITMQ_PID_FILE: join(folder, 'pid'),
    RABBITMQ_CONFIG_FILE: join(folder, 'rabbitmq.conf'),
    RABBITMQ_ADVANCED_CONFIG_FILE: join(folder, 'advanced.config'),
    RABBITMQ_ENABLED_PLUGINS_FILE: join(folder, 'enabled_plugins'),
    RABBITMQ_GENERATED_CONFIG_DIR: join(folder, 'generated'),
    RABBITMQ_FEATURE_FLAGS_FILE: join(folder, 'feature_flags'),
    // Idle schedulers that do not spin: tests share few cores. A consumer_timeout is looked at every 2 s instead of once a minute.
    RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS:
      '-kernel inet_dist_use_interface {127,0,0,1} +S 2:2 +sbwt none +sbwtdcpu none +sbwtdio none -rabbit channel_tick_interval 2000',
  }
}

const nodeName = ({ name }: Process): string => `${name}@127.0.0.1`

type Lines = Readonly<Record<string, string | number>>

const configuration = (variant: Variant, site: Site, process: Process): string => {
  const { ports } = process
  const lines: Lines = {
    'listeners.tcp.default': `127.0.0.1:${ports['amqp']}`,
    'management.tcp.ip': '127.0.0.1',
    'management.tcp.port': ports['management']!,
    'prometheus.tcp.ip': '127.0.0.1',
    'prometheus.tcp.port': ports['prometheus']!,
    'stream.listeners.tcp.1': `127.0.0.1:${ports['stream']}`,
    'stream.advertised_host': '127.0.0.1',
    'stream.advertised_port': ports['stream']!,
    'vm_memory_high_watermark.absolute': '512MiB',
    'disk_free_limit.absolute': '50MB',
    'log.console': 'true',
    'log.console.level': 'info',
    'log.console.use_colors': 'off',
    'log.file': 'false',
    ...(servers(site).length > 1 ? clusterLines(variant, site) : {}),
    ...(variant.tls ? tlsLines(process) : {}),
    ...site.settings,
  }
  return Object.entries(lines)
    .map(([key, value]) => `${key} = ${value}\n`)
    .join('')
}

const clusterLines = ({ suite }: Variant, site: Site): Lines => ({
  'cluster_formation.peer_discovery_backend': 'classic_config',
  ...Object.fromEntries(
    servers(site).map((each, i) => [`cluster_formation.classic_config.nodes.${i + 1}`, nodeName(each)]),
  ),
  ...(suite === 'forky' ? {} : { cluster_partition_handling: 'pause_minority' }),
})

const tlsLines = ({ folder, ports }: Process): Lines => {
  const files = certificatesIn(join(folder, 'certificates'))
  return {
    'listeners.ssl.default': `127.0.0.1:${ports['amqps']}`,
    'ssl_options.cacertfile': files.authority,
    'ssl_options.certfile': files.server,
    'ssl_options.keyfile': files.serverKey,
    'ssl_options.verify': 'verify_peer',
    'ssl_options.fail_if_no_peer_cert': 'false',
    'auth_mechanisms.1': 'PLAIN',
    'auth_mechanisms.2': 'AMQPLAIN',
    'auth_mechanisms.3': 'EXTERNAL',
    ssl_cert_login_from: 'common_name',
  }
}

const three = ['c1', 'c2', 'c3'] as const

/** RabbitMQ as the tests know it. */
export const rabbitmqBrokers: readonly Broker[] = [
  rabbitmq({
    name: 'rabbitmq',
    summary: 'RabbitMQ 4.0 (Debian trixie), one node',
    block: 0,
    suite: 'trixie',
    nodes: ['n1'],
  }),
  rabbitmq({
    name: 'rabbitmq-cluster',
    summary: 'RabbitMQ 4.0, three nodes',
    block: 10,
    suite: 'trixie',
    nodes: three,
  }),
  rabbitmq({
    name: 'rabbitmq-tls',
    summary: 'RabbitMQ 4.0 with TLS and login by client certificate',
    block: 30,
    suite: 'trixie',
    nodes: ['n1'],
    tls: true,
  }),
  rabbitmq({
    name: 'rabbitmq@4.3',
    summary: 'RabbitMQ 4.3 or what Debian testing (forky) has, one node',
    block: 40,
    suite: 'forky',
    nodes: ['n1'],
  }),
  rabbitmq({
    name: 'rabbitmq@3.10',
    summary: 'RabbitMQ 3.10 (Debian bookworm), one node',
    block: 50,
    suite: 'bookworm',
    nodes: ['n1'],
  }),
]
