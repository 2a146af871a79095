// Plain DOM; text from messages goes in as text, never as markup.
const by = (id) => document.getElementById(id)
const make = (tag, text, className = '') => Object.assign(document.createElement(tag), { textContent: text, className })
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
const press = (button, work) =>
  button.addEventListener('click', async () => {
    button.disabled = true
    try {
      say((await work()) ?? '')
    } catch (error) {
      say(error.message)
    } finally {
      button.disabled = false
    }
  })

const state = { orders: [], story: new Map(), since: 0, offset: 0 }

for (const button of document.querySelectorAll('[data-post]'))
  press(button, async () => {
    await post(button.dataset.post, button.dataset.count ? { count: Number(button.dataset.count) } : {})
    return `${button.textContent}: done`
  })
press(by('pay-all'), async () => {
  const waiting = state.orders.filter((order) => order.state === 'pending')
  const paid = await Promise.allSettled(waiting.map((order) => post(`/orders/${order.id}/pay`)))
  return `${paid.filter((each) => each.status === 'fulfilled').length} of ${waiting.length} paid`
})
press(by('again'), async () => {
  const [newest] = state.orders
  if (!newest) return 'place an order first'
  await post(`/orders/${newest.id}/again`)
  return `the first message of ${newest.id} was sent again under the same id`
})
press(by('read'), async () => {
  const letters = await (await fetch('/dead-letters')).json()
  by('letters').replaceChildren(
    ...letters.map((letter) => {
      const item = make('li', '')
      item.append(
        make('strong', `${letter.topic} → ${letter.group} `),
        make('code', letter.order),
        make('span', ` ${letter.reason} after ${letter.attempts} tries `),
        make('small', letter.error ?? ''),
      )
      return item
    }),
  )
  return letters.length === 1 ? '1 dead letter' : `${letters.length} dead letters`
})
press(by('redrive'), async () => {
  const { matched, redriven } = await post('/dead-letters/redrive')
  by('letters').replaceChildren()
  return `${redriven} of ${matched} driven again`
})

const cards = new Map()
const card = (order) => {
  const known = cards.get(order.id)
  if (known) return known
  const item = make('li', '')
  const top = make('div', '', 'top')
  const name = make('code', order.id)
  const word = make('span', '')
  const bar = make('progress', '')
  bar.max = 100
  bar.setAttribute('aria-label', `time left to pay ${order.id}`)
  const tale = make('small', '')
  const pay = make('button', 'Pay')
  pay.type = 'button'
  pay.setAttribute('aria-label', `Pay ${order.id}`)
  press(pay, async () => {
    await post(`/orders/${order.id}/pay`)
    return `${order.id}: the payment was taken`
  })
  top.append(name, word, pay)
  item.append(top, bar, tale)
  const made = { item, word, bar, tale, pay }
  cards.set(order.id, made)
  return made
}

const draw = (orders, timeoutMs) => {
  by('none').hidden = orders.length > 0
  const now = Date.now() + state.offset
  const items = orders.map((order) => {
    const { item, word, bar, tale, pay } = card(order)
    const left = Math.max(0, order.dueAt - now)
    item.className = order.state
    item.dataset.order = order.id
    word.textContent = order.state === 'pending' ? `${Math.ceil(left / 1000)} s to pay` : order.state
    bar.hidden = order.state !== 'pending'
    bar.value = (left / timeoutMs) * 100
    pay.hidden = order.state === 'paid'
    tale.textContent = (state.story.get(order.id) ?? []).join(' · ')
    return item
  })
  const list = by('orders')
  if (items.length !== list.children.length || items.some((item, i) => list.children[i] !== item))
    list.replaceChildren(...items)
}

const clock = new Intl.DateTimeFormat(undefined, { hour: '2-digit', minute: '2-digit', second: '2-digit' })
const hear = (rows) => {
  const list = by('story')
  for (const row of rows) {
    state.since = row.seq
    const tale = state.story.get(row.orderId) ?? []
    tale.push(row.what)
    state.story.set(row.orderId, tale)
    const item = make('li', '')
    item.append(
      make('time', clock.format(row.at)),
      make('code', row.orderId),
      make('strong', row.what),
      make('span', row.detail),
    )
    list.prepend(item)
  }
  while (list.children.length > 300) list.lastChild.remove()
}

const show = (now) => {
  state.offset = now.now - Date.now()
  state.orders = now.orders
  by('broker').textContent = now.broker
  const total = (name) => now.totals[name] ?? 0
  for (const name of ['pending', 'paid', 'cancelled']) by(name).textContent = total(name)
  by('free').textContent = now.stock.free
  by('reserved').textContent = now.stock.reserved
  const adds = now.stock.free >= 0 && now.stock.free + now.stock.reserved === now.stock.all
  const truth = by('truth')
  truth.textContent = adds ? 'free and reserved add up' : `free and reserved do not add up to ${now.stock.all}`
  truth.className = adds ? 'good' : 'bad'
  by('lags').replaceChildren(...now.lags.map((lag) => make('li', `${lag.name}: ${lag.backlog}`)))
  hear(now.story)
  draw(now.orders, now.timeoutMs)
}

for (;;) {
  try {
    show(await (await fetch(`/state?since=${state.since}`)).json())
  } catch {
    say('the page cannot reach its server; it goes on asking')
  }
  await new Promise((resolve) => setTimeout(resolve, 400))
}
