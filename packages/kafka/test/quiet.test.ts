// kafkajs logs ordinary answers as errors and warns of negative timers on stderr; both clients keep sockets. Of this nothing reaches a service.
import { spawn } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'
import { address, clients, name } from './stand.ts'

const member = fileURLToPath(new URL('./quiet-member.ts', import.meta.url))

test.each(clients)(
  'a service by %s writes nothing of its own and ends when it has closed',
  { timeout: 60_000 },
  async (client) => {
    const args = ['--conditions=posthorn:source', member, await address(), client, name()]
    const child = spawn(process.execPath, args, {
      stdio: ['ignore', 'pipe', 'pipe'],
      env: { ...process.env, NODE_OPTIONS: '' },
    })
    let [output, complaints] = ['', '']
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      output += text
    })
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      complaints += text
    })
    const code = await new Promise((resolve) => child.once('close', resolve))
    expect({ code, output, complaints }).toEqual({ code: 0, output: 'handled 7\n', complaints: '' })
  },
)
