// From messages and other events to the rows that are shown: days, messages, joins and leaves.

import { idOf } from './log.js'
import { dayOf } from './time.js'

/** Messages of one writer within this time stand together under one name. */
const TOGETHER = 5 * 60_000

/**
 * The rows for what is held: each has an `id`, and a `look` that changes when it must be drawn anew.
 *
 * `pending` are own messages that are on their way to the dat; they come last.
 */
export function rowsOf (log, notices, pending, me, draw) {
  const rows = []
  let day
  let before
  const add = (kind, id, time, look, value) => {
    const itsDay = dayOf(time)
    if (itsDay !== day) {
      day = itsDay
      before = null
      rows.push({ kind: 'day', id: `day ${itsDay}`, look: dayOf(Date.now()), value: time })
    }
    rows.push({ kind, id, look, value })
  }
  const addMessage = (message) => {
    const isFirst = dayOf(message.order) !== day || !before || before.feed !== message.feed ||
      before.name !== message.name || message.order - before.order > TOGETHER
    const look = `${draw(message)}|${isFirst}|${message.delivery ?? ''}|${message.isEdited ?? ''}|${message.sharesKey ?? ''}|${message.failure ?? ''}|${message.text.length}`
    add('message', `message ${idOf(message)}`, message.order, look, { message, isFirst, isOwn: message.feed === me })
    before = message
  }
  const addNotice = (notice) => {
    add('notice', `notice ${notice.id}`, notice.time, '', notice)
    before = null
  }
  const later = log.isEnd ? [...notices] : notices.filter((notice) => log.last && notice.time <= log.last.order)
  const shown = log.isStart ? later : later.filter((notice) => log.first && notice.time >= log.first.order)
  let next = 0
  for (const message of log.messages) {
    while (next < shown.length && shown[next].time < message.order) addNotice(shown[next++])
    addMessage(message)
  }
  while (next < shown.length) addNotice(shown[next++])
  if (log.isEnd) for (const message of pending) addMessage(message)
  return rows
}
