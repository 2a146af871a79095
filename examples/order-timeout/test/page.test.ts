// What a person does on the page, in a real browser, and what the database says to it.
import type { Browser, Page } from 'playwright-core'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { openBrowser } from './chromium.ts'
import { openShop, type Shop, until } from './shop.ts'
import { broken } from './truth.ts'

let browser: Browser
let shop: Shop
let page: Page
const errors: string[] = []

beforeAll(async () => {
  browser = await openBrowser()
  shop = await openShop({ timeoutMs: 5_000 })
  page = await browser.newPage()
  page.on('pageerror', (error) => errors.push(error.message))
  page.on('dialog', (dialog) => {
    errors.push(`a dialog opened: ${dialog.message()}`)
    void dialog.dismiss()
  })
  await page.goto(shop.url)
}, 400_000)
afterAll(async () => {
  await browser?.close()
  await shop?.[Symbol.asyncDispose]()
})

const press = (name: string): Promise<void> => page.getByRole('button', { name, exact: true }).click()
const stateOf = (id: string): unknown => shop.rows('select state from orders where id = ?', id)[0]?.['state']
const newest = (): string =>
  String(shop.rows('select id from orders order by placed_at desc, rowid desc limit 1')[0]?.['id'])
const card = (id: string) => page.locator(`[data-order="${id}"]`)
const said = (text: RegExp): Promise<void> => page.getByRole('status').filter({ hasText: text }).waitFor()
const shows = (id: string, text: string): Promise<void> => card(id).getByText(text).first().waitFor({ timeout: 20_000 })

/** Places an order by the page and gives its id. */
async function place(note = ''): Promise<string> {
  const before = shop.rows('select count(*) as n from orders')[0]?.['n']
  await page.getByLabel('Engraving on the lamp').fill(note)
  await press('Place an order')
  await until(
    () => shop.rows('select count(*) as n from orders')[0]?.['n'],
    (n) => n !== before,
  )
  const id = newest()
  await card(id).waitFor()
  return id
}

test('an order that nobody pays expires, and its lamp goes back', async () => {
  const id = await place()
  await shows(id, 'stock: reserved')
  expect(await page.locator('#reserved').textContent()).toBe('1')
  await shows(id, 'not paid in time')
  await shows(id, 'stock: given back')
  await card(id).getByText('cancelled', { exact: true }).waitFor()
  expect(stateOf(id)).toBe('cancelled')
  expect(shop.rows('select free, total from stock')).toEqual([{ free: 1_000, total: 1_000 }])
})

test('an order that is paid in time stays paid', async () => {
  const id = await place()
  await page.getByRole('button', { name: `Pay ${id}`, exact: true }).click()
  await shows(id, 'time-out: cancelled')
  await card(id).getByText('paid', { exact: true }).first().waitFor()
  await shows(id, 'mail: paid')
  expect(stateOf(id)).toBe('paid')
})

test('a late payment is given back', async () => {
  const id = await place()
  await shows(id, 'not paid in time')
  await page.getByRole('button', { name: `Pay late ${id}`, exact: true }).click()
  await shows(id, 'refunded')
  expect(shop.rows('select refunded from charges where order_id = ?', id)).toEqual([{ refunded: 1 }])
})

test('what a customer writes is shown as it is, and is no markup', async () => {
  const evil = `<img src=x onerror="alert(1)"><b>bold</b>`
  const id = await place(evil)
  expect(await card(id).locator('.note').textContent()).toBe(evil)
  expect(await card(id).locator('.note *').count()).toBe(0)
})

test('a message that comes twice is dropped the second time', async () => {
  const id = await place()
  await shows(id, 'sms: placed')
  await press('Deliver the newest twice')
  await until(
    () => shop.story(id).filter((step) => step.startsWith('duplicate dropped')).length,
    (n) => n === 3,
  )
  await shows(id, 'duplicate dropped')
  expect(shop.rows('select * from reservations where order_id = ?', id).length).toBe(1)
})

test('a worker that is killed in a handler leaves nothing half done', async () => {
  await press('Kill the worker in a handler')
  await said(/dies before its commit/)
  const id = await place()
  await shows(id, 'worker killed')
  await until(
    () => shop.output(),
    (text) => text.includes('worker ended (SIGKILL)'),
  )
  await shows(id, 'stock: reserved')
  await shows(id, 'stock: given back')
})

test('a payment service that says no can be asked again', async () => {
  await press('Fail the next 3 payments')
  await said(/next 3 payments fail/)
  const id = await place()
  const pay = page.getByRole('button', { name: `Pay ${id}`, exact: true })
  for (const times of [1, 2, 3]) {
    await pay.click()
    await until(
      () => shop.story(id).filter((step) => step.startsWith('payment failed')).length,
      (n) => n === times,
    )
  }
  await pay.click()
  await shows(id, 'time-out: cancelled')
  expect(stateOf(id)).toBe('paid')
})

test('a channel that is down: retried, dead letter, read, redriven', async () => {
  await page.getByRole('button', { name: 'SMS down for 8 tries' }).click()
  await said(/gateway is down/)
  const id = await place()
  await page.getByRole('button', { name: `Pay ${id}`, exact: true }).click()
  await shows(id, 'dead letter')
  await until(
    () => shop.story(id).filter((step) => step.startsWith('dead letter')).length,
    (n) => n === 2,
  )
  expect(shop.story(id).filter((step) => step.startsWith('retried')).length).toBe(6)
  const letter = page.locator('#letters li').filter({ hasText: `placed-${id}` })
  expect(await letter.textContent()).toContain('the SMS gateway is down')
  await page.getByRole('button', { name: `Redrive placed-${id} of sms` }).click()
  await shows(id, 'sms: placed')
  await press('Redrive all')
  await shows(id, 'sms: paid')
  await page.locator('#dead-letters').waitFor({ state: 'hidden' })
})

test('a connection that is held: nothing is lost', async () => {
  await press('Hold the connection 10 s')
  await said(/ten seconds/)
  const id = await place()
  expect(shop.story(id).some((step) => step.startsWith('handled'))).toBe(false)
  await shows(id, 'stock: given back')
  expect(stateOf(id)).toBe('cancelled')
})

test('after all of it everything is true, on the page and in the database', async () => {
  const orders = Number(shop.rows('select count(*) as n from orders')[0]?.['n'])
  await until(
    () => broken(shop, orders),
    (found) => found.length === 0,
  )
  await page.getByText('free and reserved make 1000').waitFor()
  for (const state of ['paid', 'cancelled']) {
    const count = shop.rows('select count(*) as n from orders where state = ?', state)[0]?.['n']
    await until(
      () => page.locator(`#${state}`).textContent(),
      (text) => text === String(count),
    )
  }
  expect(errors).toEqual([])
})

test('works by keyboard, and fits a phone', async () => {
  await page.setViewportSize({ width: 375, height: 800 })
  expect(await page.evaluate(() => document.documentElement.scrollWidth)).toBeLessThanOrEqual(375)
  await page.getByLabel('Engraving on the lamp').focus()
  const before = newest()
  await page.keyboard.press('Enter')
  await until(newest, (id) => id !== before)
})
