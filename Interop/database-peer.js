// A peer of one database with JSON values. Commands: open, put, delete, batch, authorize, listen, connect,
// disconnect, feeds, list, close.
'use strict'

const hyperdb = require('hyperdb')
const { run, connections, wait } = require('./peer')

let db = null

// A node with feeds named by their keys, since each replica numbers them in its own way.
function told (node) {
  const clock = {}
  node.clock.forEach((seq, feed) => { if (seq) clock[db.feeds[feed].key.toString('hex')] = seq })
  return {
    key: node.key,
    value: node.value,
    deleted: Boolean(node.deleted),
    feed: db.feeds[node.feed].key.toString('hex'),
    seq: node.seq,
    clock
  }
}

run({
  open: async ({ folder, key }) => {
    db = hyperdb(folder, key || null, { valueEncoding: 'json' })
    await wait(done => db.ready(done))
    return { key: db.key.toString('hex'), local: db.local.key.toString('hex') }
  },
  put: async ({ key, value }) => {
    await wait(done => db.put(key, value, done))
    return {}
  },
  delete: async ({ key }) => {
    await wait(done => db.del(key, done))
    return {}
  },
  batch: async ({ changes }) => {
    await wait(done => db.batch(changes.map(({ key, value }) => ({ type: 'put', key, value })), done))
    return {}
  },
  authorize: async ({ key }) => {
    await wait(done => db.authorize(Buffer.from(key, 'hex'), done))
    return {}
  },
  ...connections(() => db.replicate({ live: true })),
  // How much of each authorized writer's feed is here: its length where all of it is, else -1.
  feeds: async () => {
    const feeds = {}
    for (const feed of db.feeds) {
      if (!await wait(done => db.authorized(feed.key, done))) continue
      feeds[feed.key.toString('hex')] =
        feed.length === feed.downloaded(0, feed.length) ? feed.length : -1
    }
    return { feeds }
  },
  list: async () => {
    const groups = await wait(done => db.list(done))
    return { groups: groups.map(group => group.map(told)) }
  },
  close: async () => {
    const feeds = db.feeds.slice()
    if (db.local && !feeds.includes(db.local)) feeds.push(db.local)
    for (const feed of feeds) await wait(done => feed.close(done))
    return {}
  }
})
