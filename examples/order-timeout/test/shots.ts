// `pnpm shots`: the screenshots of the docs, from a shop that somebody has played with.
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { openBrowser } from './chromium.ts'
import { openShop, until } from './shop.ts'

const folder = join(import.meta.dirname, '../../../docs/images')
mkdirSync(folder, { recursive: true })
await using shop = await openShop({ timeoutMs: 12_000 })
const browser = await openBrowser()
const page = await browser.newPage({ viewport: { width: 1120, height: 860 }, deviceScaleFactor: 1 })
await page.goto(shop.url)
const story = (id: string, step: string): Promise<unknown> =>
  until(
    () => shop.story(id),
    (told) => told.some((each) => each.includes(step)),
    30_000,
  )

const [ada] = await shop.place(1, 'For Ada')
await story(ada!, 'sms: placed')
await shop.post(`/orders/${ada}/pay`)
await story(ada!, 'sms: paid')
const [expired] = await shop.place(1, '')
await story(expired!, 'sms: cancelled')
await shop.post(`/orders/${expired}/pay`)
await story(expired!, 'refunded')
await shop.post('/break/kill', { count: 1 })
const [killed] = await shop.place(1, 'For Edsger')
for (const step of ['stock: reserved', 'mail: placed', 'sms: placed']) await story(killed!, step)
await shop.post('/break/sms', { count: 4 })
const [silent] = await shop.place(1, 'For Grace')
await story(silent!, 'dead letter')
const [twice] = await shop.place(1, '<b>For Barbara</b>')
await story(twice!, 'sms: placed')
await shop.post(`/orders/${twice}/again`)
await story(twice!, 'duplicate dropped sms')
await page.locator(`[data-order="${twice}"]`).getByText('duplicate dropped').nth(2).waitFor()
await page.locator('#letters li').first().waitFor()

await page.screenshot({ path: join(folder, 'order-timeout.png'), fullPage: true })
await page.emulateMedia({ colorScheme: 'dark' })
await page.screenshot({ path: join(folder, 'order-timeout-dark.png') })
await page.emulateMedia({ colorScheme: 'light' })
await page.setViewportSize({ width: 375, height: 812 })
await page.evaluate(() => window.scrollTo(0, 0))
await page.screenshot({ path: join(folder, 'order-timeout-phone.png') })
await browser.close()
console.log(`docs/images: order-timeout.png, order-timeout-dark.png, order-timeout-phone.png`)
