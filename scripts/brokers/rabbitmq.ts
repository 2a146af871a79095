import { createHash } from 'node:crypto'
import { chmodSync, globSync, mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { createConnection } from 'node:net'
import { join } from 'node:path'
import { greetsAsAmqp } from './amqp-probe.ts'
import type { Broker, Launch, Process, Site } from './broker.ts'
import { debianTree } from './debian-packages.ts'

const serverPorts = ['amqp', 'management', 'prometheus', 'stream', 'distribution'] as const

interface Variant {
  readonly name: string
  readonly summary: string
  readonly block: number
  readonly suite: 'trixie'
  readonly nodes: readonly string[]
}

const libraries = 'libc6 libgcc-s1 libstdc++6 zlib1g libzstd1 libatomic1 libsystemd0 libcap2'.split(' ')
const erlang =
  'asn1 base crypto eldap inets mnesia os-mon parsetools public-key runtime-tools ssl syntax-tools tools xmerl'
    .split(' ')
    .map((part) => `erlang-${part}`)
const packages = {
  trixie: [...libraries, 'libtinfo6', 'libncursesw6', 'libssl3t64', ...erlang, 'rabbitmq-server'],
} as const

const plugins = [
  'rabbitmq_management',
  'rabbitmq_prometheus',
  'rabbitmq_stream',
  'rabbitmq_stream_management',
  'rabbitmq_consistent_hash_exchange',
  'rabbitmq_shovel',
]

const rabbitmq = (variant: Variant): Broker => ({
  name: variant.name,
  summary: variant.summary,
  usual: variant.name === 'rabbitmq',
  block: variant.block,
  stages: [{ epmd: ['epmd'] }, Object.fromEntries(variant.nodes.map((node) => [node, serverPorts]))],
  startMs: 90_000,
  install: () =>
    debianTree({
      name: 'rabbitmq',
      suite: variant.suite,
      packages: packages[variant.suite],
      orSet: 'RABBITMQ_URL',
    }),
  start: (site, process) => (process.name === 'epmd' ? portMapper(site, process) : server(site, process)),
  ready: (_site, process) => (process.name === 'epmd' ? listens(process.ports['epmd']!) : serves(process)),
  url: ({ processes }) => {
    const hosts = servers({ processes }).map(({ ports }) => `127.0.0.1:${ports['amqp']}`)
    return `amqp://guest:guest@${hosts.join(',')}`
  },
})

const servers = ({ processes }: Pick<Site, 'processes'>): readonly Process[] =>
  processes.filter(({ name }) => name !== 'epmd')

/** Erlang's port mapper, one per broker, so that no node starts one that nobody would end. */
const portMapper = async (site: Site, { ports }: Process): Promise<Launch> => ({
  file: join(site.tree, 'usr/lib/erlang/bin/epmd'),
  args: ['-address', '127.0.0.1', '-port', String(ports['epmd'])],
})

const server = async (site: Site, process: Process): Promise<Launch> => {
  const { folder, ports } = process
  const home = join(folder, 'home')
  mkdirSync(home, { recursive: true })
  const cookie = join(home, '.erlang.cookie')
  rmSync(cookie, { force: true })
  // One secret for all nodes of the broker and for nobody else's.
  writeFileSync(cookie, createHash('sha256').update(site.folder).digest('hex').toUpperCase())
  chmodSync(cookie, 0o400)
  writeFileSync(join(folder, 'env.conf'), '')
  writeFileSync(join(folder, 'enabled_plugins'), `[${plugins.join(',')}].\n`)
  writeFileSync(join(folder, 'rabbitmq.conf'), configuration(site, process))
  const [sbin] = globSync('usr/lib/rabbitmq/lib/rabbitmq_server-*/sbin', { cwd: site.tree })
  if (sbin === undefined) throw new Error(`no RabbitMQ in ${site.tree}: delete that folder and start again`)
  return {
    file: join(site.tree, sbin, 'rabbitmq-server'),
    args: [],
    env: {
      HOME: home,
      PATH: `${join(site.tree, 'usr/lib/erlang/bin')}:${globalThis.process.env['PATH']}`,
      ERL_EPMD_PORT: String(site.processes.find(({ name }) => name === 'epmd')!.ports['epmd']),
      ERL_EPMD_ADDRESS: '127.0.0.1',
      RABBITMQ_CONF_ENV_FILE: join(folder, 'env.conf'), // else the host's is read
      RABBITMQ_NODENAME: nodeName(process),
      RABBITMQ_USE_LONGNAME: 'true',
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
      // Idle schedulers that do not spin: tests share few cores.
      RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS:
        '-kernel inet_dist_use_interface {127,0,0,1} +S 2:2 +sbwt none +sbwtdcpu none +sbwtdio none',
    },
  }
}

const nodeName = ({ name }: Process): string => `${name}@127.0.0.1`

const configuration = (site: Site, { ports }: Process): string => {
  const lines: Record<string, string | number> = {
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
    'log.file': 'false',
    ...site.settings,
  }
  return Object.entries(lines)
    .map(([key, value]) => `${key} = ${value}\n`)
    .join('')
}

const listens = (port: number): Promise<string | undefined> =>
  new Promise((resolve) => {
    const socket = createConnection({ host: '127.0.0.1', port })
    socket.on('connect', () => resolve(undefined)).on('error', (error) => resolve(error.message))
    socket.on('connect', () => socket.destroy())
  })

/** AMQP alone is not enough: the greeting comes before the virtual host is there. */
const serves = async ({ ports }: Process): Promise<string | undefined> =>
  (await greetsAsAmqp(ports['amqp']!)) ?? (await management(ports, 'health/checks/virtual-hosts')).missing

interface Answer {
  readonly missing?: string
  readonly body?: unknown
}

const management = async (ports: Process['ports'], path: string): Promise<Answer> => {
  const response = await fetch(`http://127.0.0.1:${ports['management']}/api/${path}`, {
    headers: { authorization: `Basic ${Buffer.from('guest:guest').toString('base64')}` },
    signal: AbortSignal.timeout(5_000),
  })
  const body: unknown = await response.json()
  return response.ok ? { body } : { missing: `GET /api/${path} answered ${response.status}` }
}

/** RabbitMQ as the tests know it. */
export const rabbitmqBrokers: readonly Broker[] = [
  rabbitmq({
    name: 'rabbitmq',
    summary: 'RabbitMQ 4.0 (Debian trixie), one node',
    block: 0,
    suite: 'trixie',
    nodes: ['n1'],
  }),
]
