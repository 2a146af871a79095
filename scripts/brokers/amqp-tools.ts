import { spawn } from 'node:child_process'
import { join } from 'node:path'
import { debianTree } from './debian-packages.ts'

/** Debian's command line clients for AMQP 0-9-1, which know nothing of us. */
export type AmqpTool = 'amqp-publish' | 'amqp-consume' | 'amqp-get'

/** Runs one of them to its end, downloaded where it is not there yet; gives what it wrote. */
export const amqpTool = async (tool: AmqpTool, args: readonly string[]): Promise<string> => {
  const tree = await debianTree({
    name: 'amqp-tools',
    suite: 'trixie',
    packages: ['amqp-tools', 'librabbitmq4', 'libpopt0', 'libssl3t64', 'libc6', 'zlib1g', 'libzstd1'],
    orSet: 'RABBITMQ_URL',
  })
  const child = spawn(join(tree, 'usr/bin', tool), args, { stdio: ['ignore', 'pipe', 'pipe'] })
  let output = ''
  let errors = ''
  child.stdout.on('data', (chunk: Buffer) => (output += chunk.toString()))
  child.stderr.on('data', (chunk: Buffer) => (errors += chunk.toString()))
  const code = await new Promise<number | null>((resolve, reject) => {
    child.on('error', reject)
    child.on('close', resolve)
  })
  if (code !== 0) throw new Error(`${tool} ended with ${code}: ${errors}`)
  return output
}
