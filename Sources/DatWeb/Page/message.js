// How one message looks, and the lines between messages.

import { h, icon, hidden, setColour } from './dom.js'
import { coloursOf } from './colour.js'
import { nameOf, plainText, textNodes, fingerprint } from './text.js'
import { idOf } from './log.js'
import { clockTime, dayName, fullTime, isoTime } from './time.js'

/** Longer texts are shown in part at first. */
const LONG = 1200
const LINES = 16

const deliveries = {
  sending: { icon: 'clock', text: 'Being written' },
  waiting: { icon: 'waiting', text: 'Kept here; nobody has fetched it yet' },
  sent: { icon: 'sent', text: 'Sent to somebody who asked for it' }
}

/** A round sign with the first letter of a name in the colour of the feed. */
export function avatar (key, name) {
  return h('span', { class: 'avatar', 'aria-hidden': 'true', colour: coloursOf(key) }, nameOf(name).first)
}

/** A name in its colour; the fingerprint stands with it where the name alone doesn't say who. */
export function nameTag (key, name, isAmbiguous) {
  const shown = nameOf(name)
  return h('span', { class: 'who' },
    h('bdi', { class: 'name', colour: coloursOf(key) }, shown.text),
    (isAmbiguous || shown.odd) && h('span', { class: 'print', title: 'The beginning of the key of this writer’s feed' }, fingerprint(key)))
}

/**
 * @param row of `rowsOf`
 * @param room what is known of the room: `isAmbiguous(key, name)`, `isMuted(key)`, and actions
 */
export function drawRow (row, room) {
  if (row.kind === 'day') {
    return h('li', { class: 'day' }, h('h2', {}, h('time', { datetime: isoTime(row.value).slice(0, 10) }, dayName(row.value))))
  }
  return row.kind === 'notice' ? drawNotice(row.value, room) : drawMessage(row.value, room)
}

function drawNotice (notice, room) {
  const name = nameTag(notice.key, notice.name, room.isAmbiguous(notice.key, notice.name))
  const words = {
    join: [name, ' came in'],
    leave: [name, ' left'],
    waiting: [name, ' can’t be let in yet: ', plainText(notice.detail ?? '')],
    crowd: [`Many people came and went: ${plainText(notice.detail ?? '')} more times`],
    unreadable: ['Something that ', name, ' wrote can’t be read as a message; it is left out']
  }[notice.kind] ?? []
  return h('li', { class: 'notice' }, ...words, ' · ',
    h('time', { datetime: isoTime(notice.time), title: fullTime(notice.time) }, clockTime(notice.time)))
}

function drawMessage ({ message, isFirst, isOwn }, room) {
  const item = h('li', { class: `message${isFirst ? ' first' : ''}${isOwn ? ' own' : ''}`, data: { key: message.key, id: idOf(message) } })
  if (!isOwn && room.isMuted(message.feed) && !room.isUncovered(idOf(message))) {
    item.classList.add('muted')
    item.append(h('div', { class: 'bubble' },
      h('button', { class: 'link', type: 'button', onclick: () => room.uncover(idOf(message)) }, 'A message of somebody you muted')))
    return item
  }
  const body = h('div', { class: 'text', dir: 'auto' }, textNodes(message.text))
  const bubble = h('div', { class: 'bubble' })
  if (!isOwn) {
    item.append(isFirst ? avatar(message.feed, message.name) : h('span', { class: 'avatar-space' }))
    const name = nameTag(message.feed, message.name, room.isAmbiguous(message.feed, message.name))
    bubble.append(isFirst
      ? h('button', { class: 'from', type: 'button', onclick: () => room.showPerson(message.feed, message.name) }, name)
      : hidden(nameOf(message.name).text))
  } else bubble.append(hidden('You'))
  if (isFirst) item.classList.add('named')
  bubble.append(h('div', { class: 'line' }, body, footer(message, isOwn)))
  addLength(bubble, body, message, room)
  if (message.failure) bubble.append(failed(message, room))
  item.append(bubble)
  if (isOwn) setColour(bubble, coloursOf(message.feed))
  return item
}

function footer (message, isOwn) {
  // The order is the writer's time, whatever the writer's clock says.
  const isAhead = message.time === undefined || message.time > Date.now() + 60_000
  const claim = message.time === undefined ? 'gives no date' : `says ${fullTime(message.time)}`
  const delivery = isOwn && !message.failure && deliveries[message.delivery]
  return h('span', { class: 'meta' },
    message.sharesKey && h('span', { title: 'Another feed has a message under the same key. This one is of the writer that it names.' }, 'same key'),
    message.isEdited && h('span', {}, 'edited'),
    isAhead && h('span', { class: 'flag', title: `The writer’s clock ${claim}` }, message.time === undefined ? 'no date' : 'clock ahead'),
    h('time', { datetime: isoTime(message.order), title: fullTime(message.order) }, clockTime(message.order)),
    delivery && h('span', { class: `delivery ${message.delivery}`, title: delivery.text }, icon(delivery.icon), hidden(delivery.text)))
}

function addLength (bubble, body, message, room) {
  const isCut = message.length !== undefined
  const isLong = isCut || message.text.length > LONG || message.text.split('\n', LINES + 1).length > LINES
  if (!isLong) return
  const isOpen = room.isOpen(idOf(message))
  body.classList.toggle('folded', !isOpen)
  if (isOpen && isCut) {
    const rest = `${Math.ceil((message.length - 65_536) / 1024).toLocaleString('en')} KB more are not shown; an export has them.`
    bubble.append(h('p', { class: 'rest' }, rest))
  }
  bubble.append(h('button', {
    class: 'link',
    type: 'button',
    'aria-expanded': String(isOpen),
    onclick: () => room.setOpen(message, !isOpen)
  }, isOpen ? 'Show less' : 'Show more'))
}

function failed (message, room) {
  return h('div', { class: 'failed', role: 'group', 'aria-label': 'This message was not written' },
    h('span', {}, icon('warn'), message.failure),
    h('button', { class: 'link', type: 'button', onclick: () => room.retry(message) }, 'Try again'),
    h('button', { class: 'link', type: 'button', onclick: () => room.discard(message) }, 'Discard'))
}
