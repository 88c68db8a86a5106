// The way on where a room's folder was copied and both copies were written.

import { $, h, icon, openSheet, say } from './dom.js'
import { get, post } from './api.js'
import { plainText } from './text.js'

/** The strip that says that nothing more is written here. */
export function forkStrip (room) {
  return h('p', { class: 'strip', role: 'alert', data: { state: 'forked' } }, icon('door'),
    h('span', {}, h('b', {}, 'Two histories. '), plainText(room.fork.reason, 400)),
    h('button', { class: 'strong', type: 'button', onclick: () => showRecovery(room) }, 'Go on with a new key…'))
}

async function showRecovery (room) {
  let plan
  try {
    plan = await get(`${room.path}/recovery`)
  } catch (failure) { return room.composer.complain(failure.message) }
  const dialog = $('recover')
  const problem = h('p', { class: 'problem', role: 'alert' })
  const go = async (keep) => {
    for (const button of dialog.querySelectorAll('button')) button.disabled = true
    try {
      const done = await post(`${room.path}/recover`, { keep })
      dialog.close()
      say(`Done. The old folder is ${plainText(done.oldFolder, 400)}.`)
    } catch (failure) {
      problem.textContent = failure.message
      for (const button of dialog.querySelectorAll('button')) button.disabled = false
    }
  }
  openSheet(dialog, 'recover-title', 'Go on with a new key',
    h('p', {}, `Both copies agree on ${plan.common} blocks of ${plan.length}. With a new key, what only this copy has is written again: under your new key, with the old times. The old folder is moved aside and kept.`),
    h('ul', { class: 'lines' }, ...plan.items.map((item) => h('li', {},
      item.name ? h('b', {}, plainText(item.name), ': ') : null, plainText(item.text),
      item.obstacle ? h('span', { class: 'small' }, ` (stays behind: ${item.obstacle})`) : null))),
    plan.count > plan.items.length && h('p', { class: 'small' }, `and ${plan.count - plan.items.length} more`),
    problem,
    h('div', { class: 'sheet-buttons' },
      h('button', { class: 'soft', type: 'button', onclick: () => go(true) }, 'The others have these already'),
      h('button', { class: 'strong', type: 'button', onclick: () => go(false) }, 'Write them again')))
}
