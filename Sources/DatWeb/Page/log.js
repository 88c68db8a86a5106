// The part of the history that this page holds: one stretch without gaps, in the server's order.

/** How many messages are held; beyond, the far end is let go. */
export const HELD = 3000

export function precedes (one, other) {
  return one.order !== other.order ? one.order < other.order : one.key < other.key
}

export const cursor = (message) => `${message.order}~${message.key}`

export class Log {
  constructor () { this.clear() }

  clear () {
    this.messages = []
    this.byKey = new Map()
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
    for (const message of messages) this.byKey.set(message.key, message)
    this.isStart = isStart
    this.isEnd = isEnd
  }

  prepend (messages, isStart) {
    const added = messages.filter((message) => !this.byKey.has(message.key))
    for (const message of added) this.byKey.set(message.key, message)
    this.messages = added.concat(this.messages)
    this.isStart = isStart
    if (this.messages.length > HELD) {
      this.#forget(this.messages.splice(HELD))
      this.isEnd = false
    }
  }

  append (messages, isEnd) {
    const added = messages.filter((message) => !this.byKey.has(message.key))
    for (const message of added) this.byKey.set(message.key, message)
    this.messages = this.messages.concat(added)
    this.isEnd = isEnd
    this.#letGoOfOld()
  }

  /** Takes a new or changed message; false when it lies outside of what is held. */
  put (message) {
    const old = this.byKey.get(message.key)
    if (old) {
      this.messages[this.#index(old)] = message
      this.byKey.set(message.key, message)
      return true
    }
    const index = this.#index(message)
    if (index === 0 && this.messages.length > 0 && !this.isStart) return false
    if (index === this.messages.length && !this.isEnd) return false
    this.messages.splice(index, 0, message)
    this.byKey.set(message.key, message)
    this.#letGoOfOld()
    return true
  }

  remove (key) {
    const message = this.byKey.get(key)
    if (!message) return
    this.messages.splice(this.#index(message), 1)
    this.byKey.delete(key)
  }

  #letGoOfOld () {
    if (this.messages.length <= HELD) return
    this.#forget(this.messages.splice(0, this.messages.length - HELD))
    this.isStart = false
  }

  #forget (messages) { for (const message of messages) this.byKey.delete(message.key) }

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
