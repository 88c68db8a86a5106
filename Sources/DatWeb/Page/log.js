// The part of the history that this page holds: one stretch without gaps, in the server's order.

/** How many messages are held; beyond, the far end is let go. */
export const HELD = 3000

export function precedes (one, other) {
  if (one.order !== other.order) return one.order < other.order
  return one.key !== other.key ? one.key < other.key : one.feed < other.feed
}

/** What names a message: its feed and its key. Another feed's message under the same key is another one. */
export const idOf = (message) => `${message.feed} ${message.key}`

/** The place of a message in the history, as the server takes it. */
export const cursor = (message) => `${message.order}~${message.feed}~${message.key}`

export class Log {
  constructor () { this.clear() }

  clear () {
    this.messages = []
    this.byId = new Map()
    /** Nothing is older than the first message here. */
    this.isStart = false
    /** Nothing is newer than the last message here. */
    this.isEnd = false
  }

  get first () { return this.messages[0] }
  get last () { return this.messages.at(-1) }

  reset (messages, isStart, isEnd) {
    this.clear()
    this.messages = messages
    for (const message of messages) this.byId.set(idOf(message), message)
    this.isStart = isStart
    this.isEnd = isEnd
  }

  prepend (messages, isStart) {
    const added = messages.filter((message) => !this.byId.has(idOf(message)))
    for (const message of added) this.byId.set(idOf(message), message)
    this.messages = added.concat(this.messages)
    this.isStart = isStart
    if (this.messages.length > HELD) {
      this.#forget(this.messages.splice(HELD))
      this.isEnd = false
    }
  }

  append (messages, isEnd) {
    const added = messages.filter((message) => !this.byId.has(idOf(message)))
    for (const message of added) this.byId.set(idOf(message), message)
    this.messages = this.messages.concat(added)
    this.isEnd = isEnd
    this.#letGoOfOld()
  }

  /** Takes a new or changed message; false when it lies outside of what is held. */
  put (message) {
    const old = this.byId.get(idOf(message))
    if (old && old.order !== message.order) this.remove(idOf(message))
    else if (old) {
      this.messages[this.#index(old)] = message
      this.byId.set(idOf(message), message)
      return true
    }
    const index = this.#index(message)
    if (index === 0 && this.messages.length > 0 && !this.isStart) return false
    if (index === this.messages.length && !this.isEnd) return false
    this.messages.splice(index, 0, message)
    this.byId.set(idOf(message), message)
    this.#letGoOfOld()
    return true
  }

  remove (id) {
    const message = this.byId.get(id)
    if (!message) return
    this.messages.splice(this.#index(message), 1)
    this.byId.delete(id)
  }

  #letGoOfOld () {
    if (this.messages.length <= HELD) return
    this.#forget(this.messages.splice(0, this.messages.length - HELD))
    this.isStart = false
  }

  #forget (messages) { for (const message of messages) this.byId.delete(idOf(message)) }

  /** The index of the first message that doesn't precede this one. */
  #index (message) {
    let low = 0
    let high = this.messages.length
    while (low < high) {
      const middle = (low + high) >> 1
      if (precedes(this.messages[middle], message)) low = middle + 1
      else high = middle
    }
    return low
  }
}
