// The browser that the system has; where there is none and we may, it is installed.
import { spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { type Browser, chromium } from 'playwright-core'

const places = [
  process.env['CHROMIUM'],
  '/usr/bin/chromium',
  '/usr/bin/chromium-browser',
  '/usr/bin/google-chrome',
  '/Applications/Google Chrome.app/Contents/MacOS/Google Chrome',
]
const aptGet = '/usr/bin/apt-get'
const find = (): string | undefined => places.find((place) => place !== undefined && existsSync(place))

/** Opens a headless browser. */
export async function openBrowser(): Promise<Browser> {
  const executablePath = find() ?? install()
  return chromium.launch({ executablePath, args: process.getuid?.() === 0 ? ['--no-sandbox'] : [] })
}

function install(): string {
  if (process.getuid?.() === 0 && existsSync(aptGet)) {
    const options = {
      stdio: 'ignore',
      timeout: 300_000,
      env: { ...process.env, DEBIAN_FRONTEND: 'noninteractive' },
    } as const
    spawnSync(aptGet, ['update'], options)
    spawnSync(aptGet, ['install', '-y', '--no-install-recommends', 'chromium'], options)
  }
  const found = find()
  if (found === undefined)
    throw new Error(
      'there is no Chromium: install it (on Debian: apt-get install chromium), or set CHROMIUM to its path',
    )
  return found
}
