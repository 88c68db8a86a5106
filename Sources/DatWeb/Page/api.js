// The way to the dat on this machine. The secret came in the part of the address that browsers
// keep to themselves; it goes back in a header with every request.

const STORE = 'olaf-secret'

/** Takes the secret out of the address, so that it isn't copied or photographed with it. */
function takeSecret () {
  const given = location.hash.slice(1)
  if (/^[\w-]{16,}$/.test(given)) {
    keep(given)
    history.replaceState(null, '', location.pathname)
    return given
  }
  try { return sessionStorage.getItem(STORE) ?? '' } catch { return '' }
}

function keep (secret) {
  // For a reload of this tab only.
  try { sessionStorage.setItem(STORE, secret) } catch { /* then a reload needs the link again */ }
}

let secret = takeSecret()

export const hasSecret = () => secret !== ''

addEventListener('hashchange', () => {
  const given = takeSecret()
  if (given !== secret) {
    secret = given
    location.reload()
  }
})

/** What the server says went wrong; `code` is `offline` when it can't be reached. */
export class Failure extends Error {
  constructor (code, reason) {
    super(reason)
    this.code = code
  }
}

async function request (path, options = {}) {
  let response
  try {
    response = await fetch(`/api/${path}`, {
      ...options,
      headers: { ...options.headers, 'Dat-Secret': secret },
      cache: 'no-store',
      credentials: 'omit',
      redirect: 'error',
      referrerPolicy: 'no-referrer'
    })
  } catch (error) {
    if (error.name === 'AbortError') throw error
    throw new Failure('offline', 'dat on this machine does not answer.')
  }
  if (response.ok) return response
  let body
  try { body = await response.json() } catch { /* not ours */ }
  throw new Failure(body?.error?.code ?? 'unknown', body?.error?.reason ?? `The answer was ${response.status}.`)
}

/** `a=1&b=2` of an object; what is undefined is left out. */
export const query = (values) => Object.entries(values)
  .filter(([, value]) => value !== undefined && value !== null)
  .map(([name, value]) => `${name}=${encodeURIComponent(value)}`).join('&')

export const get = async (path, options) => (await request(path, options)).json()

export const getBlob = async (path) => (await request(path)).blob()

export const post = async (path, body) => (await request(path, {
  method: 'POST',
  headers: { 'Content-Type': 'application/json' },
  body: JSON.stringify(body)
})).json()

const SILENCE = 45_000

/**
 * Reads an event stream for as long as it lasts and comes back when it breaks.
 *
 * `address()` gives the path each time; `on` has a function per event, and `up` and `down(failure)`.
 * Returns a function that ends it.
 */
export function listen (address, on) {
  const ended = new AbortController()
  let attempt = 0
  let wake = () => {}

  async function once () {
    const abort = new AbortController()
    const stop = () => abort.abort()
    ended.signal.addEventListener('abort', stop)
    let silence
    const hear = () => {
      clearTimeout(silence)
      silence = setTimeout(stop, SILENCE)
    }
    try {
      hear()
      const response = await request(address(), { signal: abort.signal })
      attempt = 0
      on.up?.()
      const reader = response.body.pipeThrough(new TextDecoderStream()).getReader()
      let text = ''
      for (;;) {
        const { value, done } = await reader.read()
        if (done) return
        hear()
        text += value
        let end
        while ((end = text.indexOf('\n\n')) >= 0) {
          dispatch(text.slice(0, end))
          text = text.slice(end + 2)
        }
      }
    } finally {
      clearTimeout(silence)
      ended.signal.removeEventListener('abort', stop)
    }
  }

  function dispatch (block) {
    let name = 'message'
    let data = ''
    for (const line of block.split('\n')) {
      if (line.startsWith('event: ')) name = line.slice(7)
      else if (line.startsWith('data: ')) data += line.slice(6)
    }
    if (data) on[name]?.(JSON.parse(data))
  }

  async function run () {
    while (!ended.signal.aborted) {
      let failure = new Failure('offline', 'The connection to dat ended.')
      try { await once() } catch (error) { if (error instanceof Failure) failure = error }
      if (ended.signal.aborted) return
      attempt += 1
      on.down?.(failure)
      if (failure.code === 'noSecret') return
      const pause = Math.min(250 * 2 ** Math.min(attempt, 6), 10_000)
      await new Promise((resolve) => {
        wake = resolve
        setTimeout(resolve, pause)
      })
    }
  }

  const now = () => wake()
  addEventListener('online', now)
  addEventListener('focus', now)
  run()
  return () => {
    ended.abort()
    removeEventListener('online', now)
    removeEventListener('focus', now)
    wake()
  }
}
