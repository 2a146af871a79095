import { createServer } from 'node:net'
import { expect, test } from 'vitest'
import { brokers } from './catalogue.ts'
import { portBase, portsOf, span, takenPorts } from './ports.ts'

test('a checkout keeps its base, another has its own', () => {
  expect(portBase('/a/posthorn', '')).toBe(portBase('/a/posthorn', ''))
  expect(portBase('/a/posthorn', '')).not.toBe(portBase('/b/posthorn', ''))
})

test('every base leaves room below the ephemeral range and keeps off the well-known ports', () => {
  const wellKnown = [15_672, 15_692, 25_672, 27_017, 32_768]
  for (let i = 0; i < 3_000; i++) {
    const base = portBase(`/home/somebody/checkout-${i}`, '')
    for (const port of wellKnown) expect(port >= base && port < base + span, `${base}`).toBe(false)
    expect(base).toBeGreaterThanOrEqual(16_000)
    expect(base + span).toBeLessThan(32_768)
  }
})

test('a given base is taken, and what cannot be one is refused with what to give', () => {
  expect(portBase('/a', '20000')).toBe(20_000)
  for (const wrong of ['x', '80', '32700', '20000.5', '-1', 'NaN']) {
    expect(() => portBase('/a', wrong)).toThrow(/POSTHORN_PORT_BASE is ".*": give a whole number from 1024 to 31968/)
  }
})

test('no port belongs to two processes, and all lie in the span', () => {
  const all = brokers.flatMap((broker) => [...portsOf(broker, 0).values()].flatMap((ports) => Object.values(ports)))
  expect(new Set(all).size).toBe(all.length)
  expect(Math.max(...all)).toBeLessThan(span)
})

test('a port on which somebody listens is taken', async () => {
  const server = createServer()
  const port = await new Promise<number>((resolve) =>
    server.listen(0, '127.0.0.1', () => resolve((server.address() as { port: number }).port)),
  )
  expect(await takenPorts([port])).toEqual([port])
  await new Promise((resolve) => server.close(resolve))
  expect(await takenPorts([port])).toEqual([])
})
