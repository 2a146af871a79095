// `pnpm test:faults embedded [--messages=100000] [--legs=6] [--faults=30] [--seed=1] [--seconds=N] [--fresh]`: a service of five and more processes on
// one SQLite file, on a disk of its own that is small enough to be filled; what ADAPTER.md names and a broker without a network can have goes wrong in
// it. Linux, where a user may mount a disk in memory for himself. The kills of `pnpm test:faults sqlite` are beside it.
import { spawn } from 'node:child_process'
import { mkdtempSync, rmdirSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { runCampaign } from './service-campaign.ts'
import { processFaults } from './service-faults.ts'
import { diskFull, groupsRemoved } from './sqlite-faults.ts'

const leaseMs = 3_000
/** Where the disk of this run is; the process that is begun by hand makes it and begins another that sees it. */
const diskName = 'POSTHORN_SMALL_DISK'

async function onSmallDisk(): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'posthorn-disk-'))
  const shell = 'mount -t tmpfs -o size=64m none "$0" && exec "$@"'
  const self = [process.execPath, ...process.execArgv, fileURLToPath(import.meta.url), ...process.argv.slice(2)]
  const child = spawn('unshare', ['-rm', 'sh', '-c', shell, folder, ...self], {
    stdio: 'inherit',
    env: { ...process.env, [diskName]: folder },
  })
  process.exitCode = await new Promise<number>((resolve) => child.once('exit', (code) => resolve(code ?? 1)))
  rmdirSync(folder)
}

async function campaign(disk: string): Promise<void> {
  let leg = 0
  const file = (): string => join(disk, `leg-${leg}.db`)
  await runCampaign({
    name: 'sqlite-faults',
    command: 'pnpm test:faults embedded',
    messages: 100_000,
    legs: 6,
    times: 30,
    faults: [...processFaults(2 * leaseMs), diskFull(disk), groupsRemoved(file)],
    msPerFault: 8_000,
    service: async (nth) => {
      leg = nth
      const url = `sqlite:${file()}?leaseMs=${leaseMs}`
      return { direct: url, urlOf: () => url, delays: true, [Symbol.asyncDispose]: async () => {} }
    },
    about: { broker: `SQLite ${process.versions['sqlite']}, a disk of 64 MB in memory`, leaseMs },
  })
}

const disk = process.env[diskName]
await (disk === undefined ? onSmallDisk() : campaign(disk))
