// How others find the room: its key, as digits, as a link, as a code for cameras.

import { $, h, svg, openSheet, copyButton } from './dom.js'
import { get } from './api.js'
import { fingerprint } from './text.js'

/** Light modules around a QR code, without which cameras don't find it. */
const QUIET = 4

/** The code as one drawing: dark on light in both themes, as cameras expect it. */
function drawCode (rows) {
  const size = rows.length + 2 * QUIET
  let path = ''
  rows.forEach((row, y) => {
    for (const run of row.matchAll(/1+/g)) path += `M${run.index + QUIET} ${y + QUIET}h${run[0].length}v1h-${run[0].length}z`
  })
  return svg('svg', { class: 'code', viewBox: `0 0 ${size} ${size}`, role: 'img', 'aria-label': 'QR code of the room’s link', 'shape-rendering': 'crispEdges' },
    svg('rect', { width: size, height: size, fill: '#fff' }),
    svg('path', { d: path, fill: '#000' }))
}

export async function showShare (room) {
  let share
  try {
    share = await get(`${room.path}/share`)
  } catch (failure) { return room.composer.complain(failure.message) }
  openSheet($('share'), 'share-title', 'Share this room',
    h('p', {}, 'Whoever has this key can find the room and read it all',
      room.room.asks ? ', and ask to write.' : ', and write.', ' Give it only to those you mean.'),
    share.code && drawCode(share.code),
    h('label', { for: 'share-link' }, 'Link'),
    field('share-link', share.link),
    h('label', { for: 'share-key' }, 'Key'),
    field('share-key', fingerprint(share.key, 16)),
    share.page && h('label', { for: 'share-page' }, 'In the browser, for those without dat'),
    share.page && field('share-page', share.page),
    h('div', { class: 'sheet-buttons' }, copyButton(share.link, 'Copy link'), copyButton(share.key, 'Copy key'),
      share.page && copyButton(share.page, 'Copy browser link')))
}

function field (id, text) {
  return h('textarea', { id, class: 'key', rows: '3', readonly: true, spellcheck: 'false', onfocus: (event) => event.target.select() }, text)
}
