// Strangers' text, turned into nodes. It can hold anything: markup, controls that turn the writing
// around, characters of no width, a megabyte of them. Markup is text like any other, for only text
// nodes are made; what shows nothing is shown as a small mark; what is long is cut.

import { h } from './dom.js'

// Characters that act and don't show. Left alone: line feed and tab, the joiners and selectors
// that make emoji and belong to letters.
const HIDDEN = '(?![\\n\\t\\u200c\\u200d\\ufe0e\\ufe0f])[\\p{Cc}\\p{Cf}\\p{Zl}\\p{Zp}\\p{DI}\\u2800]'
const FLAG = '\\u{1f3f4}[\\u{e0061}-\\u{e007a}]{1,6}\\u{e007f}'
const hiddenRun = new RegExp(`${FLAG}|(?:${HIDDEN})+|[\\u200c\\u200d\\ufe0e\\ufe0f]{3,}|(\\p{M}{4})\\p{M}{3,}`, 'gu')
const isFlag = new RegExp(`^${FLAG}$`, 'u')
const isHidden = new RegExp(HIDDEN, 'u')
const link = /\bhttps?:\/\/[^\s<>"'`\u2018-\u201f\u00ab\u00bb\uff1c\uff1e]+/giu

/** The longest text of a link that is shown. */
const LINK_LENGTH = 2048

// What one message may cost, and what is drawn at a time may. Text has a fixed price a letter; elements
// are what is dear: beyond these a text is shown plainly, with what hides in it counted in one mark.

/** Links of a message; what looks like one and is looked at closely; marks and pieces of code. */
const LINKS = 50
const ATTEMPTS = 200
const PARTS = 300
/** Links, marks and pieces of code, and letters, of all messages that are drawn at a time. */
const DRAWN_PARTS = 4000
const DRAWN_LETTERS = 1 << 20

let drawn = null

/** What is left for what is drawn now: all of it again once the browser had its turn. */
function drawnNow () {
  if (!drawn) {
    drawn = { parts: DRAWN_PARTS, letters: DRAWN_LETTERS }
    setTimeout(() => { drawn = null }, 0)
  }
  return drawn
}

/** What a message may still cost. */
class Budget {
  constructor () {
    this.links = LINKS
    this.attempts = ATTEMPTS
    this.parts = PARTS
    /** The hidden characters that have no mark of their own. */
    this.unmarked = 0
    this.now = drawnNow()
  }

  /** Takes the price of an element; false when there is nothing left for it. */
  takePart () {
    if (this.parts <= 0 || this.now.parts <= 0) return false
    this.parts--
    this.now.parts--
    return true
  }
}

const code = (character) => 'U+' + character.codePointAt(0).toString(16).toUpperCase().padStart(4, '0')

/** Calls `plain(text)` and `mark(characters)` for the parts of a text. */
function split (text, plain, mark) {
  let from = 0
  for (const match of text.matchAll(hiddenRun)) {
    if (isFlag.test(match[0])) continue
    const kept = match[1]?.length ?? 0
    if (match.index + kept > from) plain(text.slice(from, match.index + kept))
    mark([...match[0].slice(kept)])
    from = match.index + match[0].length
  }
  if (from < text.length) plain(text.slice(from))
}

function markOf (characters) {
  const names = characters.slice(0, 3).map(code).join(' ')
  const label = characters.length > 3 ? `${characters.length} hidden characters` : names
  return h('span', { class: 'mark', title: `Hidden in the text: ${names}${characters.length > 3 ? ' …' : ''}` }, label)
}

function appendMarked (parent, text, budget) {
  let waiting = ''
  split(text, (plain) => { waiting += plain }, (characters) => {
    if (!budget.takePart()) {
      budget.unmarked += characters.length
      return
    }
    parent.append(waiting, markOf(characters))
    waiting = ''
  })
  if (waiting !== '') parent.append(waiting)
}

/** Where a link's text ends: not at the full stop after it, nor at a bracket around it. */
function trimLink (text) {
  let end = text.length
  // How many more of a bracket close than open, in what is left.
  const excess = { ')': 0, ']': 0 }
  for (let place = 0; place < end; place++) {
    const letter = text[place]
    if (letter === '(') excess[')']--
    else if (letter === '[') excess[']']--
    else if (letter === ')' || letter === ']') excess[letter]++
  }
  while (end > 0) {
    const last = text[end - 1]
    if (excess[last] > 0) excess[last]--
    else if (!'.,;:!?*_~'.includes(last)) break
    end--
  }
  return text.slice(0, end)
}

/** An address that may be opened, or nil: http or https, and no name before the host that could
    pass for one. */
function address (text) {
  if (text.length > LINK_LENGTH || isHidden.test(text)) return null
  try {
    const url = new URL(text)
    if (url.protocol !== 'https:' && url.protocol !== 'http:') return null
    if (url.username || url.password || !url.hostname) return null
    return url
  } catch { return null }
}

function linkTo (url, text) {
  const written = text.replace(/^https?:\/\//i, '').split(/[/?#]/)[0].toLowerCase()
  // Letters of other scripts can look like Latin ones: the name as machines read it stands beside.
  const isForeign = url.hostname !== written.replace(/:\d+$/, '')
  const anchor = h('a', { href: url.href, target: '_blank', rel: 'noopener noreferrer nofollow', title: url.href }, text)
  return isForeign ? [anchor, h('span', { class: 'mark' }, url.hostname)] : [anchor]
}

function appendLinked (parent, text, budget) {
  let from = 0
  for (const match of text.matchAll(link)) {
    if (budget.links <= 0 || budget.attempts-- <= 0) break
    const shown = trimLink(match[0])
    const url = address(shown)
    if (!url || !budget.takePart()) continue
    budget.links--
    appendMarked(parent, text.slice(from, match.index), budget)
    parent.append(...linkTo(url, shown))
    from = match.index + shown.length
  }
  appendMarked(parent, text.slice(from), budget)
}

function appendInline (parent, text, budget) {
  for (const [index, part] of text.split(/`([^`\n]{1,500})`/).entries()) {
    if (index % 2 === 0) {
      if (part !== '') appendLinked(parent, part, budget)
    } else if (!budget.takePart()) appendMarked(parent, '`' + part + '`', budget)
    else {
      const element = h('code')
      appendMarked(element, part, budget)
      parent.append(element)
    }
  }
}

/** A message's text as nodes. */
export function textNodes (text) {
  const fragment = document.createDocumentFragment()
  const budget = new Budget()
  budget.now.letters -= text.length
  if (budget.now.letters < 0) budget.parts = 0
  const clean = text.replace(/\r\n?|\u2028|\u2029/g, '\n').replace(/\n{4,}/g, '\n\n\n')
  for (const [index, part] of clean.split(/```(?:[\w+-]{0,20}\n)?([^]*?)```/).entries()) {
    // The line feed after a block of code ends the block, not a line.
    const plain = index > 0 ? part.replace(/^\n/, '') : part
    if (plain === '') continue
    if (index % 2 === 0) appendInline(fragment, plain, budget)
    else if (!budget.takePart()) appendMarked(fragment, '```' + part + '```', budget)
    else {
      const element = h('code')
      appendMarked(element, part.replace(/\n$/, ''), budget)
      // Can be scrolled, so it can be reached by keyboard.
      fragment.append(h('pre', { tabindex: '0', 'aria-label': 'Code' }, element))
    }
  }
  if (budget.unmarked > 0) {
    fragment.append(h('span', { class: 'mark' }, `${budget.unmarked} more hidden characters`))
  }
  return fragment
}

/** An excerpt with what was searched for marked. */
export function excerptNodes (text, query) {
  const fold = (value) => value.normalize('NFD').replace(/\p{M}/gu, '').toLowerCase()
  const clean = text.replace(/\s+/g, ' ')
  const fragment = document.createDocumentFragment()
  const budget = new Budget()
  // Folding may change lengths; then the place is not known and nothing is marked.
  const folded = fold(clean)
  const place = folded.length === clean.length ? folded.indexOf(fold(query)) : -1
  if (place < 0) appendMarked(fragment, clean, budget)
  else {
    appendMarked(fragment, clean.slice(0, place), budget)
    const found = h('mark')
    appendMarked(found, clean.slice(place, place + query.length), budget)
    fragment.append(found)
    appendMarked(fragment, clean.slice(place + query.length), budget)
  }
  return fragment
}

/** A text on one line without anything hidden, for labels and titles. */
export function plainText (text, length = 200) {
  let result = ''
  split(text.slice(0, 4 * length).replace(/\s+/g, ' '), (plain) => { result += plain }, () => {})
  const characters = [...result]
  return characters.length > length ? characters.slice(0, length).join('') + '…' : result
}

const nameLength = 32
const showsNothing = /[\u115f\u1160\u3164\uffa0\u2800]/gu
const showsSomething = /[\p{L}\p{N}\p{P}\p{S}]/u

/** Remembers the answers of a function for some thousand names. */
function remembered (answer) {
  const answers = new Map()
  return (name) => {
    let value = answers.get(name)
    if (value === undefined) {
      if (answers.size > 2000) answers.clear()
      answers.set(name, value = answer(name))
    }
    return value
  }
}

/** A name made fit to be shown: `text`, its `first` letter, and whether it was `odd`, so that more
    than the name should say who it is. */
export const nameOf = remembered((name) => {
  const start = name.slice(0, 512)
  let text = plainText(start, 256)
    .replace(/(?<!\p{Emoji})[\u200c\u200d\ufe0e\ufe0f]+|(\p{M}{2})\p{M}+/gu, '$1')
    .trim()
  const letters = Array.from(new Intl.Segmenter().segment(text), (part) => part.segment)
  if (letters.length > nameLength) text = letters.slice(0, nameLength).join('') + '…'
  if (!showsSomething.test(text.replace(showsNothing, ''))) return { text: '(no name)', first: '?', odd: true }
  return { text, first: letters[0], odd: text !== name.trim() }
})

/** The beginning of a feed's key, in groups. */
export const fingerprint = (key, groups = 3) => key.slice(0, 4 * groups).match(/.{4}/g).join(' ')
