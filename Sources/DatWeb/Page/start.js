// The rooms of this dat, and how to come to another one.

import { $, h, icon } from './dom.js'
import { post, listen } from './api.js'
import { nameOf, plainText, fingerprint } from './text.js'
import { avatar } from './message.js'
import { shortTime, isoTime, fullTime } from './time.js'
import { themeChoice } from './menu.js'

export function showStart (rooms, { open, connection }) {
  const parent = $('start')
  const list = h('ul', { class: 'rooms', 'aria-labelledby': 'rooms-title' })
  const section = h('section', { class: 'card' }, h('h2', { id: 'rooms-title' }, 'Rooms here'), list)

  function draw (start) {
    section.hidden = start.rooms.length === 0
    const focused = document.activeElement?.dataset?.room
    list.replaceChildren(...start.rooms.map((room) => roomItem(room, open)))
    if (focused) list.querySelector(`[data-room="${CSS.escape(focused)}"]`)?.focus()
    const unread = start.rooms.reduce((sum, room) => sum + room.unread, 0)
    document.title = unread > 0 ? `(${unread}) Olaf` : 'Olaf'
  }

  parent.replaceChildren(
    h('header', { class: 'start-head' }, icon('olaf', 'snowman'), h('h1', {}, 'Olaf'),
      h('p', {}, 'A chat without a server: the messages are on your machine and on those of the people you talk with.')),
    section,
    rooms.canMake || rooms.canJoin ? addForm(rooms, open) : '',
    h('footer', { class: 'start-foot' }, themeChoice('start-theme')))
  draw(rooms)
  const stop = listen(() => 'events', {
    up: () => connection(null),
    down: connection,
    rooms: draw
  })
  return () => {
    stop()
    parent.replaceChildren()
  }
}

function roomItem (room, open) {
  const maker = room.maker ? nameOf(room.maker).text : null
  const last = room.last
  return h('li', {},
    h('button', { class: 'room-item', type: 'button', data: { room: room.key }, onclick: () => open(room.key) },
      avatar(room.key, room.maker ?? '#'),
      h('span', { class: 'room-words' },
        h('span', { class: 'room-name' }, h('bdi', {}, maker ? `${maker}’s room` : 'Room'), h('span', { class: 'print' }, fingerprint(room.key))),
        h('span', { class: 'room-last' }, last ? [h('bdi', {}, nameOf(last.name).text), ': ', h('bdi', {}, plainText(last.text, 80))] : 'No messages yet')),
      h('span', { class: 'room-side' },
        last && h('time', { class: 'small', datetime: isoTime(last.order), title: fullTime(last.order) }, shortTime(last.order)),
        room.unread > 0 && h('span', { class: 'count', 'aria-label': `${room.unread} unread` }, room.unread > 999 ? '999+' : room.unread),
        room.requests > 0 && h('span', { class: 'count ask' }, `${room.requests} asking`))))
}

function addForm (rooms, open) {
  const name = h('input', { id: 'name', required: true, maxlength: '64', autocomplete: 'nickname', value: rooms.username, 'aria-describedby': 'start-problem' })
  const key = h('input', { id: 'key', class: 'key', placeholder: 'dat://… or 64 digits', spellcheck: 'false', autocomplete: 'off', 'aria-describedby': 'start-problem' })
  const problem = h('p', { id: 'start-problem', class: 'problem', role: 'alert' })
  const buttons = []

  async function add (body, field) {
    problem.textContent = ''
    if (name.value.trim() === '') {
      problem.textContent = 'Say first what you are called.'
      return name.focus()
    }
    for (const button of buttons) button.disabled = true
    try {
      const added = await post('rooms', { username: name.value.trim(), ...body })
      await open(added.key)
    } catch (failure) {
      problem.textContent = failure.message
      field.focus()
    } finally {
      for (const button of buttons) button.disabled = false
    }
  }

  buttons.push(
    h('button', { class: 'soft', type: 'submit' }, 'Join'),
    h('button', { class: 'strong', type: 'button', onclick: () => add({}, name) }, icon('plus'), 'Make a new room'))
  return h('section', { class: 'card', 'aria-labelledby': 'add-title' },
    h('h2', { id: 'add-title' }, 'Come into a room'),
    h('form', {
      class: 'add',
      onsubmit: (event) => {
        event.preventDefault()
        if (key.value.trim() === '') {
          problem.textContent = 'Paste the key or link of the room that you want to join.'
          return key.focus()
        }
        add({ join: key.value.trim() }, key)
      }
    },
    h('label', { for: 'name' }, 'Your name'), name,
    h('label', { for: 'key' }, 'Key or link of a room'),
    h('div', { class: 'with-button' }, key, buttons[0]),
    problem,
    h('p', { class: 'or' }, h('span', {}, 'or')),
    buttons[1]))
}
