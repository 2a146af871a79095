// One order on the page. Text from orders and messages goes in as text, never as markup.

/** An element with a text. */
export const make = (tag, text = '', className = '') =>
  Object.assign(document.createElement(tag), { textContent: text, className })

const kinds = {
  paid: 'good',
  refunded: 'good',
  redriven: 'good',
  'duplicate dropped': 'odd',
  retried: 'odd',
  'paid too late': 'odd',
  'payment failed': 'bad',
  'worker killed': 'bad',
  'dead letter': 'bad',
}
/** How a step is coloured. */
export const kindOf = (what) => kinds[what] ?? ''

const words = { pending: 'waiting', paid: 'paid', cancelled: 'cancelled' }

/** A card; `pay` is called with the order's id. */
export const card = (id, pay) => {
  const item = make('li')
  item.dataset.order = id
  const title = make('h3', id)
  const word = make('span', '', 'word')
  const note = make('p', '', 'note')
  const bar = make('progress')
  bar.max = 100
  bar.setAttribute('aria-label', `time left to pay ${id}`)
  const steps = make('ol', '', 'steps')
  steps.setAttribute('aria-label', `story of ${id}`)
  const button = make('button')
  button.type = 'button'
  pay(button, id)
  const top = make('div', '', 'top')
  top.append(title, word, button)
  item.append(top, note, bar, steps)
  let last
  const told = new Set()
  return {
    item,
    /** One more step; the same one again in a row is counted. */
    tell({ what, detail }) {
      told.add(what)
      if (last?.what === what && last.detail === detail) {
        last.times.textContent = ` ×${++last.count}`
        return
      }
      const step = make('li', '', kindOf(what))
      const times = make('span')
      step.append(make('strong', what), make('span', detail && ` ${detail}`), times)
      steps.append(step)
      last = { what, detail, times, count: 1 }
    },
    show(order, now, timeoutMs) {
      const left = Math.max(0, order.dueAt - now)
      item.className = order.state
      word.textContent = order.state === 'pending' ? `${Math.ceil(left / 1000)} s to pay` : words[order.state]
      note.textContent = order.note
      note.hidden = order.note === ''
      bar.hidden = order.state !== 'pending'
      bar.value = (left / timeoutMs) * 100
      button.hidden = order.state === 'paid' || told.has('refunded')
      button.textContent = order.state === 'pending' ? 'Pay' : 'Pay late'
      button.setAttribute('aria-label', `${button.textContent} ${id}`)
    },
  }
}
