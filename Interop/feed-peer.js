// A peer of one feed. Commands: open, append, listen, connect, disconnect, waitFor, dump, audit, close.
'use strict'

const hypercore = require('hypercore')
const { run, connections, wait } = require('./peer')

let feed = null
let live = true

const isHere = index => feed.has(index)

function here () {
  let count = 0
  for (let index = 0; index < feed.length; index++) if (isHere(index)) count++
  return count
}

run({
  // `key`: the feed to copy; `live`: whether connections stay.
  open: async options => {
    live = options.live !== false
    feed = hypercore(options.folder, options.key || null)
    await wait(done => feed.ready(done))
    return { key: feed.key.toString('hex'), length: feed.length, writable: feed.writable }
  },
  append: async ({ blocks }) => {
    await wait(done => feed.append(blocks.map(block => Buffer.from(block, 'base64')), done))
    return { length: feed.length }
  },
  ...connections(() => feed.replicate({ live })),
  // Until the feed is `length` long and `count` of its blocks are stored.
  waitFor: ({ length, count }) => new Promise(resolve => {
    const look = () => {
      if (feed.length < length || here() < count) return
      clearInterval(timer)
      resolve({})
    }
    const timer = setInterval(look, 10)
    look()
  }),
  // Everything that is stored: block by block, null for what is not here.
  dump: async () => {
    const blocks = []
    for (let index = 0; index < feed.length; index++) {
      blocks.push(isHere(index)
        ? (await wait(done => feed.get(index, { wait: false }, done))).toString('base64') : null)
    }
    const roots = feed.length ? await wait(done => feed.rootHashes(feed.length - 1, done)) : []
    return {
      key: feed.key.toString('hex'),
      length: feed.length,
      byteLength: feed.byteLength,
      roots: roots.map(({ index, hash, size }) => ({ index, hash: hash.toString('hex'), size })),
      blocks
    }
  },
  audit: () => wait(done => feed.audit(done)),
  close: async () => {
    await wait(done => feed.close(done))
    return {}
  }
})
