// Plain DOM: asks for the state twice a second and draws what changed.
import { card, kindOf, make } from './card.js'

const by = (id) => document.getElementById(id)
const say = (text) => {
  by('said').textContent = text
}
const post = async (path, body = {}) => {
  const answer = await fetch(path, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(body),
  })
  const value = await answer.json()
  if (!answer.ok) throw new Error(value.error)
  return value
}
/** Runs once per press; what it answers, or why it failed, is said. */
const press = (button, work) =>
  button.addEventListener('click', async (event) => {
    event.preventDefault()
    if (button.ariaBusy === 'true') return
    button.ariaBusy = 'true'
    try {
      say(await work())
    } catch (error) {
      say(error.message)
    } finally {
      button.ariaBusy = 'false'
    }
  })

const cards = new Map()
let orders = []
let since = 0

const place = async (count) => {
  const { ids } = await post('/orders', { count, note: by('note').value })
  return count === 1 ? `Order ${ids[0]} is placed` : `${count} orders are placed`
}
press(by('place').querySelector('[type=submit]'), () => place(1))
press(by('fifty'), () => place(50))
press(by('pay-all'), async () => {
  const waiting = orders.filter((order) => order.state === 'pending')
  const paid = await Promise.allSettled(waiting.map(({ id }) => post(`/orders/${id}/pay`)))
  return `${paid.filter((each) => each.status === 'fulfilled').length} of ${waiting.length} payments taken`
})
press(by('again'), async () => {
  const [newest] = orders
  if (!newest) return 'Place an order first'
  await post(`/orders/${newest.id}/again`)
  return `The first message of ${newest.id} is sent a second time`
})
for (const button of document.querySelectorAll('[data-break]'))
  press(button, async () => {
    await post(`/break/${button.dataset.break}`, { count: Number(button.dataset.count ?? 1) })
    return button.dataset.said
  })

const redrive = async (id) => {
  const { matched, redriven } = await post('/dead-letters/redrive', { id })
  await showLetters()
  return `${redriven} of ${matched} driven again`
}
press(by('redrive'), () => redrive(undefined))

const showLetters = async () => {
  const letters = await (await fetch('/dead-letters')).json()
  const items = letters.map((letter) => {
    const button = make('button', 'Redrive')
    button.type = 'button'
    button.setAttribute('aria-label', `Redrive ${letter.id} of ${letter.group}`)
    press(button, () => redrive(letter.id))
    const about = make('div')
    about.append(
      make('strong', letter.id),
      make('span', ` for ${letter.group} (${letter.reason}, tries: ${letter.attempts}). `),
      make('span', letter.error ?? '', 'bad'),
      make('code', JSON.stringify(letter.body)),
    )
    const item = make('li')
    item.append(about, button)
    return item
  })
  by('letters').replaceChildren(...items)
  by('dead-letters').hidden = items.length === 0
}

const cardOf = (id) => {
  const known = cards.get(id)
  if (known) return known
  const pay = (button) =>
    press(button, async () => {
      await post(`/orders/${id}/pay`)
      return `The payment of ${id} is taken`
    })
  const made = card(id, pay)
  cards.set(id, made)
  return made
}

const clock = new Intl.DateTimeFormat(undefined, { timeStyle: 'medium', hourCycle: 'h23' })
const hear = (rows) => {
  const list = by('story')
  for (const row of rows) {
    since = row.seq
    cardOf(row.orderId).tell(row)
    const item = make('li', '', 'event')
    item.append(
      make('time', clock.format(row.at)),
      make('code', row.orderId),
      make('strong', row.what, kindOf(row.what)),
      make('span', row.detail),
    )
    list.prepend(item)
  }
  while (list.children.length > 200) list.lastChild.remove()
}

const draw = ({ now, timeoutMs }) => {
  by('none').hidden = orders.length > 0
  const items = orders.map((order) => {
    const { item, show } = cardOf(order.id)
    show(order, now, timeoutMs)
    return item
  })
  const list = by('orders')
  // What stays keeps its focus: new ones go in before it, old ones leave behind it.
  for (const [at, item] of items.entries())
    if (list.children[at] !== item) list.insertBefore(item, list.children[at] ?? null)
  while (list.children.length > items.length) list.lastChild.remove()
}

const numbers = ({ totals, stock, backlog, broker }) => {
  by('broker').textContent = broker
  for (const name of ['pending', 'paid', 'cancelled']) by(name).textContent = totals[name] ?? 0
  by('free').textContent = stock.free
  by('reserved').textContent = stock.reserved
  by('backlog').textContent = backlog.reduce((sum, each) => sum + each.backlog, 0)
  const adds = stock.free >= 0 && stock.free + stock.reserved === stock.total
  const truth = by('truth')
  truth.textContent = adds
    ? `✓ free and reserved make ${stock.total}, in every moment`
    : `✗ free and reserved do not make ${stock.total}`
  truth.className = adds ? 'good' : 'bad'
  by('lags').replaceChildren(...backlog.map((each) => make('li', `${each.name}: ${each.backlog}`)))
}

let away = false
const look = async () => {
  const state = await (await fetch(`/state?since=${since}`)).json()
  if (away) say('The page has its server again')
  away = false
  orders = state.orders
  numbers(state)
  hear(state.story)
  draw(state)
  if (state.story.some(({ what }) => what === 'dead letter' || what === 'redriven')) await showLetters()
}
await showLetters().catch(() => {})
for (;;) {
  await look().catch(() => {
    if (!away) say('The page cannot reach its server; it goes on asking')
    away = true
  })
  await new Promise((resolve) => setTimeout(resolve, 400))
}
