// Small helpers to build the page. Text only ever becomes text nodes; nothing here parses markup.

export const $ = (id) => document.getElementById(id)

/** An element with attributes, properties for events (`onclick`), and children. */
export function h (tag, attributes = {}, ...children) {
  const element = document.createElement(tag)
  for (const [name, value] of Object.entries(attributes ?? {})) {
    if (value === undefined || value === null || value === false) continue
    if (name.startsWith('on')) element.addEventListener(name.slice(2), value)
    else if (name === 'data') Object.assign(element.dataset, value)
    else if (name === 'colour') setColour(element, value)
    else element.setAttribute(name, value === true ? '' : value)
  }
  element.append(...children.flat(2).filter((child) => child !== undefined && child !== null && child !== false))
  return element
}

/** Sets the pair of colours that the style sheet picks from by theme. */
export function setColour (element, colours) {
  element.style.setProperty('--on-light', colours.light)
  element.style.setProperty('--on-dark', colours.dark)
}

const SVG = 'http://www.w3.org/2000/svg'

export function svg (tag, attributes, ...children) {
  const element = document.createElementNS(SVG, tag)
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value)
  element.append(...children)
  return element
}

/** One of the drawings at the top of the page; hidden from screen readers. */
export function icon (name, className = '') {
  const use = svg('use', { href: `#i-${name}` })
  return svg('svg', { 'aria-hidden': 'true', focusable: 'false', class: className }, use)
}

/** Text that only screen readers read. */
export const hidden = (text) => h('span', { class: 'hidden' }, text)

/** Opens a dialog with the given content; Escape, the button and a click outside close it. */
export function openSheet (dialog, titleID, title, ...content) {
  dialog.replaceChildren(
    h('div', { class: 'sheet-head' },
      h('h2', { id: titleID }, title),
      h('button', { class: 'icon', type: 'button', 'aria-label': 'Close', onclick: () => dialog.close() }, icon('close'))),
    ...content)
  dialog.onclick = (event) => { if (event.target === dialog) dialog.close() }
  dialog.showModal()
}

/** A button that copies a text and says so. */
export function copyButton (text, label) {
  const words = h('span', {}, label)
  return h('button', {
    class: 'soft',
    type: 'button',
    onclick: async () => {
      words.textContent = await copy(text) ? 'Copied' : 'Copy it by hand, please'
      say(words.textContent)
      setTimeout(() => { words.textContent = label }, 2000)
    }
  }, icon('copy'), words)
}

async function copy (text) {
  try {
    await navigator.clipboard.writeText(text)
    return true
  } catch { return false }
}

let sayTimer
/** Tells screen readers something, politely. */
export function say (text) {
  clearTimeout(sayTimer)
  $('live').textContent = ''
  // A moment's pause, or the same words twice are heard once.
  sayTimer = setTimeout(() => { $('live').textContent = text }, 60)
}
