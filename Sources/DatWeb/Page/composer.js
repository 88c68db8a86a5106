// Where messages are written.

import { $ } from './dom.js'

/** Bytes of a message that are shown anywhere. */
const LONGEST = 65_536
const bytes = new TextEncoder()

export class Composer {
  constructor (room) {
    this.room = room
    this.text = $('text')
    this.text.value = drafts.get(room.key) ?? ''
    room.on($('composer'), 'submit', (event) => {
      event.preventDefault()
      this.submit()
    })
    room.on(this.text, 'keydown', (event) => {
      if (event.key !== 'Enter' || event.shiftKey || event.isComposing) return
      // A finger's keyboard has no Shift to hold: there Enter is a new line.
      if (matchMedia('(pointer: coarse)').matches && !event.ctrlKey) return
      event.preventDefault()
      this.submit()
    })
    room.on(this.text, 'input', () => {
      drafts.set(room.key, this.text.value)
      this.complaint = null
      this.draw()
    })
    this.complaint = null
    this.draw()
    if (!matchMedia('(pointer: coarse)').matches) this.focus()
  }

  focus () { this.text.focus({ preventScroll: true }) }

  get obstacle () {
    const { me, isUp } = this.room
    if (!me || !isUp) return 'You can write again when the connection is back.'
    if (!me.isAuthorized) return 'You can write once somebody has let you in.'
    const length = bytes.encode(this.text.value).length
    if (length > LONGEST) return `${(length - LONGEST).toLocaleString('en')} bytes too long: a message may have ${LONGEST.toLocaleString('en')}.`
    return null
  }

  submit () {
    const text = this.text.value.trim()
    if (this.obstacle) return this.complain(this.obstacle)
    if (text === '') return
    this.text.value = ''
    drafts.delete(this.room.key)
    this.complaint = null
    this.room.send(text)
    this.focus()
  }

  complain (text) {
    this.complaint = text
    this.draw()
  }

  draw () {
    const isEmpty = this.text.value.trim() === ''
    // Still reachable by keyboard and able to say why it does nothing.
    $('send').setAttribute('aria-disabled', String(isEmpty || this.obstacle !== null))
    const isTooLong = this.obstacle?.includes('too long') ? this.obstacle : ''
    const hint = this.complaint ?? isTooLong
    if ($('hint').textContent !== hint) $('hint').textContent = hint
    this.text.style.height = 'auto'
    this.text.style.height = `${Math.min(this.text.scrollHeight, 200)}px`
  }
}

const drafts = new Map()
