import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { type Broker, slug, urlVariable } from './broker.ts'
import { brokers } from './catalogue.ts'
import { nodesOf } from './lifecycle.ts'
import { checkout } from './places.ts'

const text = readFileSync(join(checkout, 'docker-compose.yml'), 'utf8')

/** The lines below a key at the left margin, without comments. */
const section = (key: string): readonly string[] => {
  const lines = text.split('\n').filter((line) => !/^\s*#/.test(line))
  const begin = lines.indexOf(`${key}:`) + 1
  const length = lines.slice(begin).findIndex((line) => /^\S/.test(line))
  return lines.slice(begin, length < 0 ? undefined : begin + length)
}

const urls = new Map(
  section('x-urls').flatMap((line) => {
    const [, variable, url] = /^ {2}(\w+): (\S+)$/.exec(line) ?? []
    return variable && url ? [[variable, url] as const] : []
  }),
)

const services = new Map<string, string>()
let current = ''
for (const line of section('services')) {
  const name = /^ {2}(\S+):$/.exec(line)?.[1]
  if (name) current = name
  services.set(current, `${services.get(current) ?? ''}${line}\n`)
}
services.delete('')

const servicesOf = (broker: Broker): readonly string[] => {
  const nodes = nodesOf(broker.name)
  return nodes.length === 1 ? [slug(broker.name)] : nodes.map((node) => `${slug(broker.name)}-${node}`)
}

test('its first line says that it was not run', () => {
  expect(text.split('\n')[0]).toMatch(/^# Not run here/)
})

test('it has a URL variable for every broker of the scripts and for nothing else', () => {
  expect([...urls.keys()].sort()).toEqual(brokers.map(({ name }) => urlVariable(name)).sort())
})

test('it has the nodes of every broker of the scripts and, but for set-up steps, nothing else', () => {
  const nodes = [...services.keys()].filter((name) => !name.endsWith('-users'))
  expect(nodes.sort()).toEqual(brokers.flatMap(servicesOf).sort())
})

test('every image is pinned to an exact version', () => {
  const images = [...text.matchAll(/^\s+image: (\S+)$/gm)].map(([, image]) => image)
  expect(images.length).toBeGreaterThan(0)
  for (const image of images) expect(image).toMatch(/:\d+\.\d+\.\d+/)
})

describe.each(brokers)('$name', (broker) => {
  const own = servicesOf(broker).map((name) => services.get(name) ?? '')
  const given = urls.get(urlVariable(broker.name)) ?? ''

  test('the compose URL has the scheme, the login and the number of hosts of the scripts', () => {
    const site = {
      folder: '',
      settings: {},
      processes: broker.stages.flatMap((stage) =>
        Object.entries(stage).map(([name, ports]) => ({
          name,
          folder: '',
          ports: Object.fromEntries(ports.map((port) => [port, 1])),
        })),
      ),
    }
    expect(given.replace(/:\d+/g, ':1')).toBe(broker.url(site))
  })

  test('each host of the URL is published, one by each node', () => {
    const hosts = given.match(/127\.0\.0\.1:\d+/g) ?? []
    expect(hosts.length).toBe(own.length)
    for (const [i, host] of hosts.entries()) expect(own[i]).toContain(`"${host}:`)
  })

  test('only the usual ones start without a profile', () => {
    const shared = own.map((service) =>
      service.includes('*rabbitmq-node\n') ? 'profiles: [rabbitmq-cluster]' : service,
    )
    for (const service of shared) {
      if (broker.usual) expect(service).not.toContain('profiles:')
      else expect(service).toContain(`profiles: [${slug(broker.name)}]`)
    }
  })
})
