// A peer of a chat room: of our own, on the database alone, or with {"workshop": true} the workshop's own
// class, taken from the checkout of geut/dat-workshop that DAT_WORKSHOP names. Commands: open, write,
// listen, connect, disconnect, close. Events: message, join, leave.
'use strict'

const path = require('path')
const hyperdb = require('hyperdb')
const hyperid = require('hyperid')
const { run, connections, tell, wait } = require('./peer')

const hex = key => Buffer.from(key.data || key).toString('hex')

// A room with the keys, values and user data of the workshop's.
class Room {
  constructor (folder, key, name) {
    this.user = { username: name, timestamp: Date.now() }
    this.nextId = hyperid()
    this.seen = new Set()
    this.looking = Promise.resolve()
    this.db = hyperdb(folder, key || null, { valueEncoding: 'json' })
  }

  async start () {
    await wait(done => this.db.ready(done))
    this.db.watch('messages', () => this.look())
    this.look()
  }

  // Tells every message that was not told before, the oldest first.
  look () {
    this.looking = this.looking.then(async () => {
      const groups = await wait(done => this.db.list('messages', done))
      groups.flat().filter(node => !node.deleted && node.value && !this.seen.has(node.key))
        .sort((one, other) => one.value.timestamp - other.value.timestamp)
        .forEach(({ key, value }) => {
          this.seen.add(key)
          tell({ event: 'message', key, ...value })
        })
    }).catch(error => tell({ event: 'problem', error: error.message }))
  }

  async write (text) {
    const key = `messages/${this.nextId()}`
    const value = { key, message: text, username: this.user.username, timestamp: Date.now() }
    await wait(done => this.db.put(key, value, done))
    return key
  }

  attach () {
    const userData = JSON.stringify({ key: this.db.local.key, ...this.user })
    const stream = this.db.replicate({ live: true, userData })
    stream.on('handshake', () => {
      this.meet(stream).catch(error => tell({ event: 'problem', error: error.message }))
    })
    return stream
  }

  async meet (stream) {
    const { key, username } = JSON.parse(stream.remoteUserData)
    stream.on('close', () => tell({ event: 'leave', username, key: hex(key) }))
    tell({ event: 'join', username, key: hex(key) })
    const writer = Buffer.from(hex(key), 'hex')
    if (await wait(done => this.db.authorized(writer, done))) return
    await wait(done => this.db.authorize(writer, done))
  }
}

// The workshop's class behind the same methods.
class WorkshopRoom {
  constructor (folder, key, name) {
    const saga = require(path.join(process.env.DAT_WORKSHOP, 'problems/10/olaf/src/lib/saga'))
    this.saga = saga(folder, key || null, name)
    this.saga.on('message', (value, key) => tell({ event: 'message', ...value, key }))
    for (const event of ['join', 'leave']) {
      this.saga.on(event, ({ username, key }) => tell({ event, username, key: hex(key) }))
    }
  }

  get db () { return this.saga.db }

  start () { return this.saga.initialize() }

  write (text) { return this.saga.writeMessage(text) }

  attach () {
    const stream = this.saga.replicate()
    stream.on('handshake', () => {
      this.saga.connect(stream).catch(error => tell({ event: 'problem', error: error.message }))
    })
    return stream
  }
}

let room = null

run({
  open: async ({ folder, key, name, workshop }) => {
    room = new (workshop ? WorkshopRoom : Room)(folder, key, name)
    await room.start()
    return { key: hex(room.db.key), local: hex(room.db.local.key) }
  },
  write: async ({ text }) => ({ key: await room.write(text) }),
  ...connections(() => room.attach()),
  close: async () => {
    const feeds = room.db.feeds.slice()
    if (!feeds.includes(room.db.local)) feeds.push(room.db.local)
    for (const feed of feeds) await wait(done => feed.close(done))
    return {}
  }
})
