// Which view is shown: the rooms, or one of them.

import { $, h, icon } from './dom.js'
import { hasSecret, get, Failure } from './api.js'
import { showStart } from './start.js'
import { openRoom } from './room.js'
import { setUpMenu } from './menu.js'

let leave = () => {}
let rooms = null

function banner (text, action) {
  const element = $('banner')
  element.hidden = !text
  element.replaceChildren(...(text ? [icon('offline'), h('span', {}, text)] : []), ...(action ? [action] : []))
}

/** Says that the dat can't be reached, or that it can again. */
export function connection (failure) {
  if (!failure) return banner('')
  document.documentElement.dataset.state = failure.code
  if (failure.code === 'noSecret') {
    banner('This page belongs to a dat that has ended. Open the address that the new one printed.')
  } else {
    const again = h('button', { class: 'link', type: 'button', onclick: () => dispatchEvent(new Event('focus')) }, 'Try now')
    banner('The connection to dat on this machine is lost. Trying again…', again)
  }
}

export async function show (key) {
  leave()
  $('start').hidden = true
  $('room').hidden = true
  try { sessionStorage.setItem('olaf-room', key ?? '') } catch { /* a reload shows the rooms */ }
  if (key) {
    $('room').hidden = false
    leave = openRoom(key, { canGoBack: rooms.canJoin || rooms.rooms.length > 1, back: () => show(null), connection })
  } else {
    $('start').hidden = false
    leave = showStart(rooms, { open: show, connection })
  }
}

async function begin () {
  setUpMenu()
  if (!hasSecret()) {
    $('start').hidden = false
    $('start').replaceChildren(h('div', { class: 'card start-head' }, icon('olaf', 'snowman'),
      h('h1', {}, 'Olaf'), h('p', {}, 'Open the whole address that dat printed: the part after # is what lets this page in.')))
    return
  }
  for (;;) {
    try {
      rooms = await get('start')
      break
    } catch (failure) {
      if (!(failure instanceof Failure)) throw failure
      connection(failure)
      if (failure.code !== 'offline') return
      await new Promise((resolve) => setTimeout(resolve, 1500))
    }
  }
  connection(null)
  let last = ''
  try { last = sessionStorage.getItem('olaf-room') ?? '' } catch { /* none */ }
  const only = rooms.rooms.length === 1 && !rooms.canJoin ? rooms.rooms[0].key : null
  await show(only ?? (rooms.rooms.some((room) => room.key === last) ? last : null))
}

await begin()
