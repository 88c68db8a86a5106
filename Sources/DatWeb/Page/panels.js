// The panels beside the messages: one at a time; over them where there is no room.

import { $ } from './dom.js'

const isWide = () => matchMedia('(min-width: 960px)').matches

export class Panels {
  constructor (panels, signal) {
    this.panels = panels
    this.shown = null
    for (const [name, panel] of Object.entries(panels)) {
      panel.element.hidden = true
      panel.button.setAttribute('aria-expanded', 'false')
      panel.button.addEventListener('click', () => this.toggle(name), { signal })
      panel.element.addEventListener('keydown', (event) => {
        if (event.key === 'Escape') this.close(name)
      }, { signal })
    }
    addEventListener('keydown', (event) => this.key(event), { signal })
    if (isWide()) this.show('people', false)
  }

  show (name, takesFocus = true) {
    if (this.shown && this.shown !== name) this.close(this.shown, false)
    const panel = this.panels[name]
    this.shown = name
    panel.element.hidden = false
    panel.button.setAttribute('aria-expanded', 'true')
    $('room').dataset.panel = name
    panel.draw()
    if (takesFocus) panel.focus()
  }

  close (name, returnsFocus = true) {
    const panel = this.panels[name]
    if (this.shown !== name) return
    this.shown = null
    panel.element.hidden = true
    panel.button.setAttribute('aria-expanded', 'false')
    delete $('room').dataset.panel
    panel.closed?.()
    if (returnsFocus) panel.button.focus()
  }

  /** Makes way for the messages where a panel covers them. */
  yield () { if (this.shown && !isWide()) this.close(this.shown, false) }

  closeAll () { if (this.shown) this.close(this.shown, false) }

  toggle (name) {
    if (this.shown === name) this.close(name)
    else this.show(name)
  }

  key (event) {
    const isTyping = event.target.matches?.('input, textarea')
    const isFind = (event.ctrlKey || event.metaKey) && event.key === 'k'
    if (document.querySelector('dialog[open]')) return
    if (isFind || (event.key === '/' && !isTyping && !event.ctrlKey && !event.metaKey)) {
      event.preventDefault()
      this.show('search')
    }
  }
}
