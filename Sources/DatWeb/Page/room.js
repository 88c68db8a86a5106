// One room: what is known of it, and how its parts are kept up to date.

import { $, h, say } from './dom.js'
import { get, post, query, listen } from './api.js'
import { Log, cursor, idOf } from './log.js'
import { List } from './list.js'
import { rowsOf } from './rows.js'
import { drawRow } from './message.js'
import { Names } from './names.js'
import { nameOf, plainText, fingerprint } from './text.js'
import { Composer } from './composer.js'
import { People, showPerson } from './people.js'
import { Search } from './search.js'
import { drawStrips, drawEmpty } from './states.js'
import { showShare } from './share.js'
import { Panels } from './panels.js'
import { setMenuRoom } from './menu.js'

const PAGE = 200

/** A message by its name, as the server takes it. */
const around = (id) => ({ around: id.slice(id.indexOf(' ') + 1), feed: id.slice(0, id.indexOf(' ')) })

class Room {
  constructor (key, { canGoBack, back, connection }) {
    this.key = key
    this.path = `rooms/${key}`
    this.log = new Log()
    this.pending = []
    this.notices = []
    this.people = []
    this.muted = new Set()
    this.requests = []
    this.fork = null
    this.me = null
    this.names = new Names()
    this.open = new Set()
    this.uncovered = new Set()
    this.fullTexts = new Map()
    this.behind = 0
    this.unseen = 0
    this.total = 0
    this.turn = Promise.resolve()
    this.loading = {}
    this.connection = connection
    this.abort = new AbortController()

    this.list = new List({
      scroller: $('history'),
      container: $('messages'),
      draw: (row) => drawRow(row, this),
      near: (end) => this.load(end),
      moved: () => this.moved()
    })
    this.composer = new Composer(this)
    this.peoplePanel = new People(this)
    this.search = new Search(this)
    this.panels = new Panels({ people: this.peoplePanel, search: this.search }, this.abort.signal)

    this.on($('back'), 'click', back)
    $('back').hidden = !canGoBack
    this.on($('open-share'), 'click', () => showShare(this))
    this.on($('jump'), 'click', () => this.toNewest())
    this.on($('history'), 'keydown', (event) => this.historyKey(event))
    this.on(document, 'visibilitychange', () => this.moved())
    setMenuRoom(this)
    this.minute = setInterval(() => this.peoplePanel.draw(), 60_000)
    $('history').setAttribute('aria-busy', 'true')

    this.stop = listen(() => 'events?' + query({ room: key, since: this.revision, run: this.run }), {
      up: () => this.connected(true),
      down: (failure) => this.connected(false, failure),
      // One after the other: starting over takes a while.
      update: (update) => { this.turn = this.turn.then(() => this.update(update)).catch(reportError) }
    })
  }

  on (target, name, action) { target.addEventListener(name, action, { signal: this.abort.signal }) }

  leave () {
    this.stop()
    setMenuRoom(null)
    this.abort.abort()
    clearInterval(this.minute)
    this.list.destroy()
    this.panels.closeAll()
    document.title = 'Olaf'
    for (const id of ['strips', 'messages', 'empty']) {
      $(id).replaceChildren()
      delete $(id).dataset.look
    }
  }

  // What the server tells

  connected (isUp, failure) {
    this.isUp = isUp
    this.connection(isUp ? null : failure)
    this.composer.draw()
    if (!isUp && !this.lost) say('The connection is lost')
    if (isUp && this.lost) say('Connected again')
    this.lost = !isUp
  }

  async update (update) {
    if (this.abort.signal.aborted) return
    this.run = update.run
    this.revision = update.revision
    if (update.me) {
      this.me = update.me
      this.learn([update.me])
    }
    this.learn(update.requests)
    this.learn(update.notices)
    this.learn(update.messages)
    this.learn(update.people)
    if (update.room) this.room = update.room
    if (update.requests) this.setRequests(update.requests)
    if (update.notices) this.setNotices(update.notices, update.isWhole)
    if (update.people) {
      this.people = update.people
      this.muted = new Set(update.people.filter((person) => person.isMuted).map((person) => person.key))
    }
    if (update.fork) this.fork = update.fork
    if (update.ahead !== undefined) this.ahead = update.ahead
    if (update.loaded !== undefined) this.loaded = update.loaded
    if (update.problem) this.composer.complain(plainText(update.problem))
    if (update.isWhole) await this.startOver(update)
    else this.takeIn(update)
    if (this.abort.signal.aborted) return
    this.total = update.total
    $('history').setAttribute('aria-busy', 'false')
    this.draw()
  }

  async startOver (update) {
    const reading = this.list.isStuck ? null : this.list.firstSeen
    let page = { messages: update.messages, isStart: update.isStart, isEnd: true }
    this.behind = 0
    if (reading && !page.messages.some((message) => idOf(message) === reading)) {
      // Somebody is reading further up: they go on there, or at the newest where it is gone.
      try {
        page = await get(`${this.path}/messages?` + query({ ...around(reading), limit: PAGE }))
        this.behind = Math.max(0, update.total - this.total)
      } catch { /* the newest then */ }
    }
    this.learn(page.messages)
    this.log.reset(page.messages, page.isStart, page.isEnd)
    this.settle(update.messages)
  }

  takeIn (update) {
    const arrived = []
    for (const message of update.messages ?? []) {
      const isNew = !this.log.byId.has(idOf(message))
      const isHeld = this.log.put(message)
      if (isNew && message.feed !== this.me?.key && !this.isMuted(message.feed)) arrived.push(message)
      if (!isHeld && isNew && !this.log.isEnd) this.behind += 1
    }
    this.settle(update.messages ?? [])
    for (const name of update.removed ?? []) this.log.remove(idOf(name))
    this.announce(arrived)
  }

  /** Own messages that have arrived are not on their way any more. */
  settle (messages) {
    for (const message of messages) {
      if (message.feed !== this.me?.key) continue
      const index = this.pending.findIndex((own) => own.text === message.text && !own.failure)
      if (index >= 0) this.pending.splice(index, 1)[0].isDone = true
    }
  }

  setRequests (requests) {
    const known = new Set(this.requests.map((request) => request.key))
    for (const request of requests) {
      if (!known.has(request.key)) say(`${this.calledName(request.key, request.name)} asks to come in`)
    }
    this.requests = requests
  }

  setNotices (notices, isWhole) {
    const last = this.notices.at(-1)?.id ?? 0
    if (!isWhole) {
      for (const notice of notices.slice(-3)) {
        if (notice.id <= last || (notice.kind !== 'join' && notice.kind !== 'leave')) continue
        say(`${this.calledName(notice.key, notice.name)} ${notice.kind === 'join' ? 'came in' : 'left'}`)
      }
    }
    this.notices = notices
  }

  announce (messages) {
    if (messages.length === 0) return
    if (document.hidden || !this.list.isStuck) this.unseen += messages.length
    say(messages.length <= 2
      ? messages.map((message) => `${this.calledName(message.feed, message.name)}: ${plainText(message.text)}`).join('. ')
      : `${messages.length} new messages`)
  }

  // Who is who

  /** Takes the names in what the server sent: of messages, people, requests, notices, or our own. */
  learn (items) {
    for (const item of items ?? []) this.names.learn(item.feed ?? item.key, item.name, item.look)
  }

  /** Whether the name alone doesn't say who it is. */
  isAmbiguous (key, name) { return this.names.isAmbiguous(key, name) }

  /** A name as it is read out. */
  calledName (key, name) {
    const { text, odd } = nameOf(name)
    return odd || this.isAmbiguous(key, name) ? `${text}, ${fingerprint(key)},` : text
  }

  isMuted (key) { return this.muted.has(key) }
  isUncovered (id) { return this.uncovered.has(id) }
  isOpen (id) { return this.open.has(id) }

  uncover (id) {
    this.uncovered.add(id)
    this.draw()
  }

  async setOpen (message, isOpen) {
    const id = idOf(message)
    if (isOpen && message.length !== undefined && !this.fullTexts.has(id)) {
      try {
        const whole = await get(`${this.path}/message?` + query({ key: message.key, feed: message.feed }))
        this.fullTexts.set(id, whole.text)
      } catch (failure) { return this.composer.complain(failure.message) }
    }
    if (isOpen) this.open.add(id)
    else this.open.delete(id)
    const text = this.fullTexts.get(id)
    if (text !== undefined && this.log.byId.has(id)) this.log.put({ ...message, text })
    this.draw()
  }

  showPerson (key, name) { showPerson(this, key, name) }

  // What is shown

  drawMessages () {
    const look = (message) => [
      this.isAmbiguous(message.feed, message.name), this.isMuted(message.feed),
      this.isUncovered(idOf(message)), this.isOpen(idOf(message))].map(Number).join('')
    this.list.update(rowsOf(this.log, this.notices, this.pending, this.me?.key, look))
    this.moved()
  }

  draw () {
    this.drawMessages()
    this.drawHead()
    drawStrips($('strips'), this)
    drawEmpty($('empty'), this)
    this.peoplePanel.draw()
    this.composer.draw()
  }

  get here () { return this.people.filter((person) => person.isHere) }

  get title () {
    const maker = this.room?.maker ? nameOf(this.room.maker) : null
    return maker && maker.text !== '(no name)' ? `${maker.text}’s room` : 'Room'
  }

  drawHead () {
    if (!this.me) return
    $('title').replaceChildren(h('bdi', {}, this.title))
    const here = this.here.length
    $('subtitle').textContent = `${here === 0 ? 'only you here' : `you and ${here} more here`} · ${fingerprint(this.key)}`
    $('here-count').hidden = here === 0
    $('here-count').textContent = here
    $('open-people').setAttribute('aria-label', `People, ${here} here beside you`)
    const unseen = this.unseen > 0 ? `(${this.unseen}) ` : ''
    document.title = `${unseen}${this.title} · Olaf`
  }

  /** Called after scrolling and drawing: what has been seen, and the way back to the newest. */
  moved () {
    const isAtEnd = this.list.isAtEnd && this.log.isEnd
    if (isAtEnd && !document.hidden) {
      this.behind = 0
      if (this.unseen !== 0) {
        this.unseen = 0
        this.drawHead()
      }
      this.markRead()
    }
    $('jump').hidden = isAtEnd
    const count = Math.max(this.unseen, this.behind)
    $('jump-label').textContent = count > 0 ? `${count} new` : 'Newest'
  }

  markRead () {
    const last = this.log.last
    if (!last || idOf(last) === this.readID) return
    this.readID = idOf(last)
    clearTimeout(this.readTimer)
    this.readTimer = setTimeout(() => {
      post(`${this.path}/read`, { order: last.order, key: last.key, feed: last.feed }).catch(() => { this.readID = null })
    }, 400)
  }

  // Moving through the history

  async load (end) {
    if (this.loading[end] || !this.me) return
    const { log } = this
    if (end === 'older' ? log.isStart || !log.first : log.isEnd || !log.last) return
    this.loading[end] = true
    $('older').classList.toggle('busy', end === 'older')
    const first = log.first
    const last = log.last
    try {
      const place = end === 'older' ? { before: cursor(first) } : { after: cursor(last) }
      const page = await get(`${this.path}/messages?` + query({ ...place, limit: PAGE }))
      this.learn(page.messages)
      // The history may have been started over meanwhile.
      if (end === 'older' && log.first === first) log.prepend(page.messages, page.isStart)
      if (end === 'newer' && log.last === last) log.append(page.messages, page.isEnd)
    } catch {
      // The stream says that the connection is lost; scrolling on asks again.
      await new Promise((resolve) => setTimeout(resolve, 1000))
    }
    this.loading[end] = false
    $('older').classList.remove('busy')
    if (!this.abort.signal.aborted) this.drawMessages()
  }

  async go (place) {
    const page = await get(`${this.path}/messages?` + query({ ...place, limit: PAGE }))
    this.learn(page.messages)
    this.log.reset(page.messages, page.isStart, page.isEnd)
    this.draw()
  }

  async toNewest () {
    if (!this.log.isEnd) await this.go({})
    this.list.toEnd()
    this.composer.focus()
  }

  async toOldest () {
    if (!this.log.isStart) await this.go({ from: 'start' })
    this.list.toStart()
  }

  async toMessage (id) {
    if (!this.log.byId.has(id)) await this.go(around(id))
    const element = this.list.toRow(`message ${id}`)
    if (!element) return
    element.classList.add('found')
    element.tabIndex = -1
    element.focus({ preventScroll: true })
    setTimeout(() => element.classList.remove('found'), 2500)
  }

  historyKey (event) {
    if (event.ctrlKey || event.metaKey || event.altKey || event.target !== $('history')) return
    const action = { Home: () => this.toOldest(), End: () => this.toNewest() }[event.key]
    if (!action) return
    event.preventDefault()
    action().catch((failure) => this.composer.complain(failure.message))
  }

  // What people do

  async send (text) {
    const now = Date.now()
    const message = {
      key: `local ${now} ${Math.random()}`, text, name: this.me.name, feed: this.me.key,
      time: now, order: now, delivery: 'sending'
    }
    if (!this.log.isEnd) await this.toNewest().catch(() => {})
    this.pending.push(message)
    this.list.isStuck = true
    this.draw()
    await this.deliver(message)
  }

  async deliver (message) {
    try {
      const written = await post(`${this.path}/messages`, { text: message.text })
      if (message.isDone) return
      const index = this.pending.indexOf(message)
      if (index >= 0) this.pending.splice(index, 1)
      if (written.key && !this.log.byId.has(idOf(written))) this.log.put(written)
    } catch (failure) {
      message.failure = failure.message
      say(`Not written: ${failure.message}`)
    }
    this.draw()
  }

  retry (message) {
    delete message.failure
    this.draw()
    this.deliver(message)
  }

  discard (message) {
    this.pending.splice(this.pending.indexOf(message), 1)
    this.draw()
    this.composer.focus()
  }

  async act (path, body, done) {
    try {
      await post(`${this.path}/${path}`, body)
      if (done) say(done)
    } catch (failure) { this.composer.complain(failure.message) }
  }
}

export function openRoom (key, options) {
  const room = new Room(key, options)
  return () => room.leave()
}
