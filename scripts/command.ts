import { spawn } from 'node:child_process'
import { checkout } from './brokers/places.ts'

/** How a command ended. */
export interface Ended {
  readonly code: number
  /** stdout and stderr as they came, without colours. */
  readonly output: string
}

/** Runs a command to its end, without stdin. It does not throw when the command fails. */
export const command = (
  program: string,
  args: readonly string[],
  { cwd = checkout, env = {} }: { readonly cwd?: string; readonly env?: NodeJS.ProcessEnv } = {},
): Promise<Ended> =>
  new Promise((resolve, reject) => {
    const child = spawn(program, args, {
      cwd,
      env: { ...process.env, NO_COLOR: '1', FORCE_COLOR: '0', ...env },
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    let output = ''
    const take = (chunk: string): void => {
      output += chunk
    }
    child.stdout.setEncoding('utf8').on('data', take)
    child.stderr.setEncoding('utf8').on('data', take)
    child.on('error', (cause) => reject(new Error(`${program} cannot be started: ${cause.message}`, { cause })))
    child.on('close', (code) => resolve({ code: code ?? 1, output }))
  })

/** Runs a command that must succeed, and gives what it wrote. */
export const succeeding = async (...call: Parameters<typeof command>): Promise<string> => {
  const { code, output } = await command(...call)
  if (code !== 0) throw new Error(`${[call[0], ...call[1]].join(' ')} ended with ${code}:\n${output}`)
  return output
}

/** The pnpm that this workspace names, whatever the PATH has. */
export const pnpm = (args: readonly string[], options?: Parameters<typeof command>[2]): Promise<string> =>
  succeeding('npx', ['-y', 'pnpm@12.21.0', ...args], options)
