// What is said when there is nothing to show yet, or somebody to answer.

import { $, h, icon } from './dom.js'
import { fingerprint, plainText } from './text.js'
import { avatar, nameTag } from './message.js'
import { showShare } from './share.js'
import { forkStrip } from './recover.js'

/** The strips above the messages: requests, and why nothing goes out or comes in. */
export function drawStrips (parent, room) {
  const states = []
  if (room.fork) states.push(forkStrip(room))
  if (room.loaded < 100) {
    states.push(h('p', { class: 'strip', data: { state: `loading ${room.loaded}` } }, icon('clock'),
      h('span', {}, h('b', {}, 'Reading the room. '), `${room.loaded} % of its messages are read; all of them are shown then.`)))
  }
  if (room.ahead > 0) {
    states.push(h('p', { class: 'strip', data: { state: `ahead ${room.ahead}` } }, icon('clock'),
      h('span', {}, h('b', {}, room.ahead === 1 ? 'A message is dated in the future. ' : `${room.ahead.toLocaleString('en')} messages are dated in the future. `),
        'They show when that time has come; the search finds them.')))
  }
  if (room.me && !room.me.isAuthorized) {
    states.push(h('p', { class: 'strip', data: { state: 'waiting' } }, icon('door'),
      h('span', {}, h('b', {}, 'Waiting to be let in. '), 'Somebody who is in the room has to accept you. What they write is shown meanwhile.')))
  } else if (room.me && room.here.length === 0 && !isEmpty(room)) {
    states.push(h('p', { class: 'strip', data: { state: 'alone' } }, icon('clock'),
      h('span', {}, h('b', {}, 'Nobody else is here. '), 'What you write is kept and goes out when somebody comes.')))
  }
  const cards = room.requests.map((request) => requestCard(request, room))
  const look = JSON.stringify([room.requests, states.map((state) => state.dataset.state)])
  if (parent.dataset.look === look) return
  parent.dataset.look = look
  const focused = parent.contains(document.activeElement)
  parent.replaceChildren(...cards, ...states)
  if (focused) (parent.querySelector('button') ?? $('text')).focus()
}

function requestCard (request, room) {
  const name = nameTag(request.key, request.name, true)
  name.id = `request-${request.key.slice(0, 16)}`
  const answer = (accept) => room.act('requests', { key: request.key, accept }, accept ? 'Accepted' : 'Refused')
  return h('section', { class: 'strip request', 'aria-label': 'A request to come in' },
    avatar(request.key, request.name),
    h('div', { class: 'request-words' },
      h('p', {}, name, request.isProven ? ' asks to come in' : ' asks to come in, unproven'),
      h('p', { class: 'small' }, request.isProven
        ? 'Their key is proven. Refusing holds for this time; another writer may still let them in.'
        : `Anybody can claim this name and key${request.address ? `; the claim comes from ${plainText(request.address)}` : ''}. Accepting lets the key’s owner in, whoever that is.`)),
    h('div', { class: 'request-buttons' },
      h('button', { class: 'soft', type: 'button', 'aria-describedby': name.id, onclick: () => answer(false) }, 'Refuse'),
      h('button', { class: 'strong', type: 'button', 'aria-describedby': name.id, onclick: () => answer(true) }, 'Accept')))
}

const isEmpty = (room) => room.log.messages.length === 0 && room.log.isEnd && room.pending.length === 0

/** What stands in the middle of a room without messages. */
export function drawEmpty (parent, room) {
  const isShown = room.me !== null && isEmpty(room)
  parent.hidden = !isShown
  if (!isShown) return parent.replaceChildren()
  const here = room.here.length
  const look = `${here > 0} ${room.me.isAuthorized}`
  if (parent.dataset.look === look && parent.firstChild) return
  parent.dataset.look = look
  const words = here > 0
    ? 'Nothing has been said yet. Begin!'
    : room.me.isAuthorized
      ? 'Nobody else is here yet. Share the room, or leave the first message: it is kept and goes out when somebody comes.'
      : 'Nobody is here yet who could let you in. The messages come when somebody does.'
  parent.replaceChildren(...[
    icon('olaf', 'snowman'),
    h('h2', {}, 'A quiet room'),
    h('p', {}, words),
    h('button', { class: 'strong', type: 'button', onclick: () => showShare(room) }, icon('share'), 'Share this room'),
    h('p', { class: 'small' }, fingerprint(room.key))])
}
