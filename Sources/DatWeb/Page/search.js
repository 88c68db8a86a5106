// Searching the whole history, which the dat on this machine does.

import { $, h, icon, say } from './dom.js'
import { get, query } from './api.js'
import { cursor, idOf } from './log.js'
import { excerptNodes, nameOf } from './text.js'
import { nameTag } from './message.js'
import { shortTime, fullTime, isoTime } from './time.js'

const PAUSE = 200
const PAGE = 30

export class Search {
  constructor (room) {
    this.room = room
    this.element = $('search')
    this.button = $('open-search')
    this.turn = 0
    this.input = h('input', { id: 'query', type: 'search', placeholder: 'Search the history', enterkeyhint: 'search', maxlength: '200', dir: 'auto' })
    this.results = h('ol', { class: 'results', 'aria-label': 'Found messages' })
    this.status = h('p', { class: 'small status', role: 'status' })
    this.more = h('button', { class: 'soft', type: 'button', hidden: true, onclick: () => this.find(true) }, 'Older ones')
    this.input.addEventListener('input', () => {
      clearTimeout(this.timer)
      this.timer = setTimeout(() => this.find(false), PAUSE)
    })
    this.input.addEventListener('keydown', (event) => {
      if (event.key === 'Enter') this.find(false)
      if (event.key === 'ArrowDown') this.results.querySelector('button')?.focus()
    })
    this.results.addEventListener('keydown', (event) => this.move(event))
    this.element.replaceChildren(
      h('div', { class: 'panel-head' },
        h('label', { class: 'hidden', for: 'query' }, 'Search the history'), this.input,
        h('button', { class: 'icon', type: 'button', 'aria-label': 'Close search', onclick: () => room.panels.close('search') }, icon('close'))),
      h('div', { class: 'panel-body' }, this.status, this.results, this.more))
  }

  focus () {
    this.input.focus()
    this.input.select()
  }

  draw () {}

  move (event) {
    const buttons = [...this.results.querySelectorAll('button')]
    const index = buttons.indexOf(document.activeElement)
    const next = { ArrowDown: index + 1, ArrowUp: index - 1 }[event.key]
    if (next === undefined) return
    event.preventDefault()
    if (next < 0) this.input.focus()
    else buttons[next]?.focus()
  }

  async find (isMore) {
    const text = this.input.value.trim()
    const turn = ++this.turn
    if (!isMore) this.last = null
    if (text === '') {
      this.results.replaceChildren()
      this.status.textContent = ''
      this.more.hidden = true
      return
    }
    try {
      const answer = await get(`${this.room.path}/search?` + query({ q: text, limit: PAGE, before: this.last }))
      // Somebody has typed on meanwhile.
      if (turn !== this.turn) return
      this.room.learn(answer.found.map((found) => found.message))
      const items = answer.found.map((found) => this.item(found, text))
      if (isMore) this.results.append(...items)
      else this.results.replaceChildren(...items)
      if (isMore) items[0]?.querySelector('button').focus()
      const last = answer.found.at(-1)?.message
      this.last = last ? cursor(last) : this.last
      this.more.hidden = !answer.isMore
      const count = this.results.childElementCount
      this.status.textContent = count === 0 ? 'Nothing found.' : `${count}${answer.isMore ? ' or more' : ''} found, newest first`
    } catch (failure) {
      this.status.textContent = failure.message
    }
  }

  item ({ message, excerpt }, text) {
    return h('li', {},
      h('button', {
        class: 'result',
        type: 'button',
        onclick: async () => {
          this.room.panels.yield()
          await this.room.toMessage(idOf(message)).catch((failure) => { this.status.textContent = failure.message })
          say(`Message of ${nameOf(message.name).text}`)
        }
      },
      h('span', { class: 'result-head' },
        nameTag(message.feed, message.name, this.room.isAmbiguous(message.feed, message.name)),
        h('time', { class: 'small', datetime: isoTime(message.order), title: fullTime(message.order) }, shortTime(message.order))),
      h('span', { class: 'excerpt', dir: 'auto' }, excerptNodes(excerpt, text))))
  }
}
