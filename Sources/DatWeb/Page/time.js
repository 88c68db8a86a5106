// Times as people say them, in the language and zone of the browser.

const clock = new Intl.DateTimeFormat(undefined, { hour: '2-digit', minute: '2-digit' })
const full = new Intl.DateTimeFormat(undefined, { dateStyle: 'full', timeStyle: 'medium' })
const weekday = new Intl.DateTimeFormat(undefined, { weekday: 'long', day: 'numeric', month: 'long' })
const withYear = new Intl.DateTimeFormat(undefined, { dateStyle: 'long' })
const short = new Intl.DateTimeFormat(undefined, { day: 'numeric', month: 'short' })
const relative = new Intl.RelativeTimeFormat('en', { numeric: 'auto' })

export const clockTime = (time) => clock.format(time)
export const fullTime = (time) => full.format(time)
export const isoTime = (time) => new Date(time).toISOString()

/** A number that is the same for all times of one day. */
export function dayOf (time) {
  const date = new Date(time)
  return date.getFullYear() * 512 + date.getMonth() * 32 + date.getDate()
}

export function dayName (time, now = Date.now()) {
  if (dayOf(time) === dayOf(now)) return 'Today'
  const yesterday = new Date(now)
  yesterday.setDate(yesterday.getDate() - 1)
  if (dayOf(time) === dayOf(yesterday)) return 'Yesterday'
  return new Date(time).getFullYear() === new Date(now).getFullYear()
    ? weekday.format(time)
    : withYear.format(time)
}

/** `just now`, `5 minutes ago`, `yesterday`, a date. */
export function ago (time, now = Date.now()) {
  const minutes = Math.round((now - time) / 60_000)
  if (minutes < 1) return 'just now'
  if (minutes < 60) return relative.format(-minutes, 'minute')
  if (minutes < 24 * 60) return relative.format(-Math.round(minutes / 60), 'hour')
  const days = Math.round(minutes / 1440)
  return days < 7 ? relative.format(-days, 'day') : withYear.format(time)
}

/** The clock's time today, else the day: for lists. */
export const shortTime = (time) => dayOf(time) === dayOf(Date.now()) ? clock.format(time) : short.format(time)
