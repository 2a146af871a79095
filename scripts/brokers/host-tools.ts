import { spawn } from 'node:child_process'

/** A command that ended with a failure, with what it wrote. */
class CommandFailure extends Error {
  readonly output: string
  constructor(command: string, output: string) {
    super(`\`${command}\` failed:\n${output.trim().split('\n').slice(-20).join('\n')}`)
    this.output = output
  }
}

/** Runs a command to its end and gives what it wrote on both streams. */
export const run = (
  file: string,
  args: readonly string[],
  options: { cwd?: string; env?: Readonly<Record<string, string>> } = {},
): Promise<string> =>
  new Promise((resolve, reject) => {
    const child = spawn(file, args, {
      stdio: ['ignore', 'pipe', 'pipe'],
      env: { ...process.env, ...options.env },
      ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
    })
    let output = ''
    child.stdout.on('data', (chunk: Buffer) => (output += chunk.toString()))
    child.stderr.on('data', (chunk: Buffer) => (output += chunk.toString()))
    child.on('error', reject)
    child.on('close', (code) =>
      code === 0 ? resolve(output) : reject(new CommandFailure([file, ...args].join(' '), output)),
    )
  })

const works = (file: string, args: readonly string[]): Promise<boolean> =>
  run(file, args).then(
    () => true,
    () => false,
  )

/** A tool of the host: how to see that it is there, and the Debian package that brings it. */
export interface Tool {
  readonly file: string
  readonly probe: readonly string[]
  readonly debian: string
}

/**
 * Sees to it that tools are there: as root on a machine with apt the missing ones are installed, else the error says what to
 * install, or which variable points at a broker that already runs.
 */
export const needTools = async (tools: readonly Tool[], orSet: string): Promise<void> => {
  const present = await Promise.all(tools.map(({ file, probe }) => works(file, probe)))
  const missing = tools.filter((_, i) => !present[i])
  if (missing.length === 0) return
  const names = missing.map(({ file }) => file).join(', ')
  const packages = missing.map(({ debian }) => debian)
  const advice = `install ${names} (on Debian and Ubuntu: apt-get install ${packages.join(' ')}), or set ${orSet} to a broker that already runs`
  if (process.getuid?.() !== 0 || !(await works('apt-get', ['--version']))) {
    throw new Error(`${names} not found: ${advice}`)
  }
  process.stderr.write(`${names} not found: installing ${packages.join(' ')}\n`)
  const env = { DEBIAN_FRONTEND: 'noninteractive' }
  const apt = ['-qq', '-y', '-o', 'DPkg::Lock::Timeout=300']
  try {
    await run('apt-get', [...apt, 'update'], { env })
    await run('apt-get', [...apt, '--no-install-recommends', 'install', ...packages], { env })
  } catch (error) {
    throw new Error(`${names} not found and not installed: ${advice}`, { cause: error })
  }
}
