// Who is here and who was.

import { $, h, icon, hidden, openSheet, copyButton } from './dom.js'
import { nameOf, fingerprint } from './text.js'
import { avatar, nameTag } from './message.js'
import { ago, fullTime, isoTime } from './time.js'

export class People {
  constructor (room) {
    this.room = room
    this.element = $('people')
    this.button = $('open-people')
    /** Where the window is wide it stands open beside the messages. */
    this.opensByItself = true
  }

  focus () { this.element.querySelector('button')?.focus() }

  draw () {
    const { room, element } = this
    if (element.hidden || !room.me) return
    const focused = element.contains(document.activeElement) ? document.activeElement.dataset.key : undefined
    const was = room.people.filter((person) => !person.isHere)
    element.replaceChildren(
      h('div', { class: 'panel-head' },
        h('h2', {}, 'People'),
        h('button', { class: 'icon', type: 'button', 'aria-label': 'Close people', data: { key: 'close' }, onclick: () => room.panels.close('people') }, icon('close'))),
      h('div', { class: 'panel-body' },
        h('h3', { id: 'here-title' }, 'Here now'),
        h('ul', { class: 'list', 'aria-labelledby': 'here-title' },
          this.item({ key: room.me.key, name: room.me.name, isHere: true, isMe: true }),
          room.here.map((person) => this.item(person))),
        was.length > 0 && h('h3', { id: 'was-title' }, 'Was here'),
        was.length > 0 && h('ul', { class: 'list', 'aria-labelledby': 'was-title' }, was.map((person) => this.item(person)))))
    if (focused) element.querySelector(`[data-key="${CSS.escape(focused)}"]`)?.focus()
  }

  item (person) {
    const { room } = this
    const ambiguous = room.isAmbiguous(person.key, person.name)
    const status = person.isMe
      ? 'you'
      : person.isHere ? `here · came ${ago(person.since)}` : ago(person.since)
    return h('li', {},
      h('button', { class: `person${person.isHere ? ' here' : ''}`, type: 'button', data: { key: person.key }, onclick: () => room.showPerson(person.key, person.name) },
        avatar(person.key, person.name),
        h('span', { class: 'person-words' },
          nameTag(person.key, person.name, ambiguous),
          h('span', { class: 'small' }, status, person.isHere && person.isProven === false && ' · unproven', person.isMuted && ' · muted'))))
  }
}

/** What is known of somebody, with the whole key, and muting. */
export function showPerson (room, key, name) {
  const person = room.people.find((one) => one.key === key)
  const isMe = key === room.me?.key
  const shown = nameOf(person?.name ?? name)
  const dialog = $('person')
  const facts = []
  if (isMe) facts.push('This is you.')
  else if (person?.isHere) facts.push(h('span', {}, 'Here now; came ', time(person.since), '.'))
  else if (person && person.since > 0) facts.push(h('span', {}, 'Last heard of ', time(person.since), '.'))
  if (person?.isHere && person.isProven === false) facts.push('That they are here is a claim: their program has not shown that it holds the key. Older programs can’t.')
  if (person?.messages) facts.push(person.messages === 1 ? 'Wrote one message.' : `Wrote ${person.messages.toLocaleString('en')} messages.`)
  openSheet(dialog, 'person-title', h('bdi', {}, shown.text),
    h('div', { class: 'sheet-row' }, avatar(key, name), h('div', {}, facts.map((fact) => h('p', {}, fact)))),
    h('p', { class: 'small' }, 'A name can be taken by anybody; the key can’t. Two people are the same only if all of this is the same:'),
    h('p', { class: 'key' }, hidden('Key: '), fingerprint(key, 16)),
    h('div', { class: 'sheet-buttons' },
      copyButton(key, 'Copy key'),
      !isMe && person && h('button', {
        class: 'soft',
        type: 'button',
        onclick: async () => {
          await room.act('mute', { key, isMuted: !person.isMuted }, person.isMuted ? 'Shown again' : 'Muted')
          dialog.close()
        }
      }, person.isMuted ? 'Show their messages' : 'Mute here')))
}

const time = (value) => h('time', { datetime: isoTime(value), title: fullTime(value) }, ago(value))
