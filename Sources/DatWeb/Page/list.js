// A list of any length of which only a stretch around what is seen is in the page.
//
// Rows have heights that are known only once they are drawn, so places are kept by what is seen: a
// row at the top of the view stays where it is, whatever comes or goes above it.

/** How many rows are in the page at most; several views' worth. */
const DRAWN = 160
/** How many more are drawn when the view nears an end. */
const STEP = 60

export class List {
  /**
   * @param scroller the element that scrolls
   * @param container the element that holds the rows
   * @param draw makes the element of a row
   * @param near called with `older` or `newer` when the view nears that end of the rows
   * @param moved called after scrolling, with whether the end is in view
   */
  constructor ({ scroller, container, draw, near, moved }) {
    Object.assign(this, { scroller, container, draw, near, moved })
    this.rows = []
    this.from = 0
    this.to = 0
    this.elements = new Map()
    /** Whether the newest row is to stay in view. */
    this.isStuck = true
    this.lastTop = 0
    this.listening = new AbortController()
    scroller.addEventListener('scroll', () => this.#scrolled(), { passive: true, signal: this.listening.signal })
    this.sizes = new ResizeObserver(() => this.#resized())
    this.sizes.observe(scroller)
    this.sizes.observe(container)
  }

  destroy () {
    this.listening.abort()
    this.sizes.disconnect()
    cancelAnimationFrame(this.scheduled)
  }

  /** The name of the first message in view. */
  get firstSeen () { return this.#anchor()?.message }

  /** Shows these rows instead; what is seen stays where it is. */
  update (rows) {
    const anchor = this.#anchor()
    const at = anchor ? rows.findIndex((row) => row.id === anchor.id) : -1
    const drawn = Math.min(rows.length, DRAWN)
    this.rows = rows
    if (this.isStuck || at < 0) {
      this.to = rows.length
      this.from = rows.length - drawn
    } else {
      this.from = Math.max(0, Math.min(at - Math.floor(DRAWN / 3), rows.length - drawn))
      this.to = Math.min(rows.length, this.from + DRAWN)
    }
    this.#place(anchor)
  }

  toEnd () {
    this.isStuck = true
    this.to = this.rows.length
    this.from = Math.max(0, this.to - DRAWN)
    this.#place(null)
  }

  toStart () {
    this.isStuck = false
    this.from = 0
    this.to = Math.min(this.rows.length, DRAWN)
    this.#sync()
    this.scroller.scrollTop = 0
    this.#scrolled()
  }

  /** Brings a row to the middle of the view and returns its element. */
  toRow (id) {
    const index = this.rows.findIndex((row) => row.id === id)
    if (index < 0) return null
    this.isStuck = false
    this.from = Math.max(0, index - DRAWN / 2)
    this.to = Math.min(this.rows.length, this.from + DRAWN)
    this.#sync()
    const element = this.elements.get(id).element
    element.scrollIntoView({ block: 'center' })
    this.#scrolled()
    return element
  }

  get isAtEnd () {
    return this.to === this.rows.length &&
      this.scroller.scrollHeight - this.scroller.scrollTop - this.scroller.clientHeight < 48
  }

  #place (anchor) {
    this.#sync()
    if (this.isStuck) this.#stick()
    else this.#restore(anchor)
    this.#look()
  }

  #stick () {
    this.scroller.scrollTop = this.scroller.scrollHeight
    this.lastTop = this.scroller.scrollTop
  }

  #scrolled () {
    const top = this.scroller.scrollTop
    // Only going up lets go of the end: the view may also have become smaller.
    if (this.isAtEnd) this.isStuck = true
    else if (top < this.lastTop - 1) this.isStuck = false
    this.lastTop = top
    if (!this.scheduled) {
      this.scheduled = requestAnimationFrame(() => {
        this.scheduled = 0
        this.#look()
      })
    }
  }

  #resized () {
    if (this.isStuck) this.#stick()
  }

  /** Draws more where the view nears an end of what is drawn; asks for more at the ends. */
  #look () {
    const { scroller } = this
    const margin = 1.5 * scroller.clientHeight
    if (scroller.scrollTop < margin && this.from > 0) this.#shift(-STEP)
    else if (this.#below() < margin && this.to < this.rows.length) this.#shift(STEP)
    if (this.from < STEP && scroller.scrollTop < 2 * margin) this.near('older')
    if (this.rows.length - this.to < STEP && this.#below() < 2 * margin) this.near('newer')
    this.moved(this.isAtEnd)
  }

  #below () { return this.scroller.scrollHeight - this.scroller.scrollTop - this.scroller.clientHeight }

  #shift (count) {
    const anchor = this.#anchor()
    if (count < 0) {
      this.from = Math.max(0, this.from + count)
      this.to = Math.min(this.rows.length, this.from + DRAWN)
    } else {
      this.to = Math.min(this.rows.length, this.to + count)
      this.from = Math.max(0, this.to - DRAWN)
    }
    this.#sync()
    this.#restore(anchor)
  }

  /** The first row in view that keeps its place, and how far below the view's top it begins. */
  #anchor () {
    const top = this.scroller.getBoundingClientRect().top
    let low = this.from
    let high = this.to - 1
    while (low < high) {
      const middle = (low + high) >> 1
      const element = this.elements.get(this.rows[middle]?.id)?.element
      if (!element) return null
      if (element.getBoundingClientRect().bottom <= top) low = middle + 1
      else high = middle
    }
    // The line of a day stands before its oldest message here: where older ones come, it goes there.
    if (this.rows[low]?.kind === 'day' && low + 1 < this.to) low += 1
    const row = this.rows[low]
    const element = row && this.elements.get(row.id)?.element
    return element ? { id: row.id, message: element.dataset.id, offset: element.getBoundingClientRect().top - top } : null
  }

  #restore (anchor) {
    const element = anchor && this.elements.get(anchor.id)?.element
    if (!element) return
    const offset = element.getBoundingClientRect().top - this.scroller.getBoundingClientRect().top
    if (Math.abs(offset - anchor.offset) > 0.5) this.scroller.scrollTop += offset - anchor.offset
    this.lastTop = this.scroller.scrollTop
  }

  /** Makes the page hold exactly the rows from `from` to `to`, keeping elements that still fit. */
  #sync () {
    const wanted = this.rows.slice(this.from, this.to)
    const ids = new Set(wanted.map((row) => row.id))
    for (const [id, { element }] of this.elements) {
      if (ids.has(id)) continue
      // A row that has the focus doesn't take it along when it goes.
      if (element.contains(document.activeElement)) this.scroller.focus({ preventScroll: true })
      element.remove()
      this.elements.delete(id)
    }
    let place = this.container.firstElementChild
    for (const row of wanted) {
      const old = this.elements.get(row.id)
      if (old && old.look === row.look) {
        if (old.element === place) place = place.nextElementSibling
        else this.container.insertBefore(old.element, place)
        continue
      }
      const element = this.draw(row)
      if (old) {
        if (old.element === place) place = place.nextElementSibling
        old.element.replaceWith(element)
        if (element.nextElementSibling !== place) this.container.insertBefore(element, place)
      } else this.container.insertBefore(element, place)
      this.elements.set(row.id, { element, look: row.look })
    }
  }
}
