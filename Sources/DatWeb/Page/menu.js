// The menu: theme, export, keys.

import { $, h, openSheet, say } from './dom.js'
import { getBlob } from './api.js'

let room = null

/** Which room the export is of; null while the rooms are shown. */
export function setMenuRoom (current) {
  room = current
  draw()
}

const themes = [['system', 'As the system'], ['light', 'Light'], ['dark', 'Dark']]

export function setUpMenu () {
  draw()
  addEventListener('keydown', (event) => {
    const isTyping = event.target.matches?.('input, textarea')
    if (event.key === '?' && !isTyping && !document.querySelector('dialog[open]')) showKeys()
  })
}

function draw () {
  const menu = $('menu')
  const action = (label, run) => h('button', {
    class: 'menu-item',
    type: 'button',
    onclick: () => {
      menu.hidePopover()
      run()
    }
  }, label)
  menu.replaceChildren(
    themeChoice('menu-theme'),
    ...(room
      ? [
          h('hr'),
          action('Export as text', () => exportAs('text', 'txt')),
          action('Export as JSON lines', () => exportAs('jsonl', 'jsonl')),
          h('hr'),
          action('Keys', showKeys)
        ]
      : []))
}

/** Radio buttons for the theme. */
export function themeChoice (name) {
  return h('fieldset', { class: 'themes' },
    h('legend', {}, 'Theme'),
    themes.map(([value, label]) => h('label', {},
      h('input', {
        type: 'radio',
        name,
        value,
        checked: window.olafTheme.choice === value,
        onchange: () => { window.olafTheme.choice = value }
      }), h('span', {}, label))))
}

async function exportAs (format, ending) {
  try {
    const blob = await getBlob(`${room.path}/export?format=${format}`)
    const address = URL.createObjectURL(blob)
    const link = h('a', { href: address, download: `room-${room.key.slice(0, 8)}.${ending}` })
    link.click()
    setTimeout(() => URL.revokeObjectURL(address), 10_000)
    say('Exported')
  } catch (failure) { room.composer.complain(failure.message) }
}

const keys = [
  ['Enter', 'send'], ['Shift + Enter', 'new line'], ['/ or Ctrl + K', 'search'], ['Escape', 'close what is open'],
  ['Home, End', 'oldest and newest, from the messages'], ['?', 'this list']
]

function showKeys () {
  openSheet($('keys'), 'keys-title', 'Keys',
    h('dl', { class: 'keys' }, keys.map(([key, meaning]) => [h('dt', {}, h('kbd', {}, key)), h('dd', {}, meaning)])))
}
