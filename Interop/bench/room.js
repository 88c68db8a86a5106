// A room of many messages, joined by a newcomer, then live messages to and fro.
//
// The room is made by 20 writers in this process; it is served from there to a process that starts with
// nothing. What is measured on that side is what a chat has to do: fetch everything, take in every
// message once, and follow what comes.
'use strict'

const { fork } = require('child_process')
const net = require('net')
const { memory, now, tell, wait, median, peakMemory } = require('./common')
const { connect, listen } = require('./replicate')
const database = require('./database')

const open = key => database.open(() => memory(), key, { valueEncoding: 'json' })

const write = (db, text) => wait(done => {
  const key = `messages/${Math.random().toString(36).slice(2)}-${Date.now()}`
  db.put(key, { key, message: text, username: 'somebody', timestamp: Date.now() }, done)
})

const replicate = (db, options) => db.replicate({ live: true, ...options })

const untilShown = (db, feeds, total) => new Promise(resolve => {
  const look = () => {
    const heads = db.feeds.filter(Boolean)
    const length = heads.reduce((sum, feed) => sum + Math.max(feed.downloaded() - 1, 0), 0)
    if (db.feeds.length >= feeds && length >= total) return resolve()
    setTimeout(look, 2)
  }
  look()
})

const messages = db => new Promise((resolve, reject) => {
  const found = new Map()
  const stream = db.createHistoryStream()
  stream.on('data', node => { if (/messages/.test(node.key)) found.set(node.key, node.value) })
  stream.on('end', () => resolve(found))
  stream.on('error', reject)
})

// Calls back for each new message from now on.
function follow (db, call) {
  const seen = new Map()
  let isBusy = false
  let isDue = false
  const look = () => {
    if (isBusy) { isDue = true; return }
    isBusy = true
    const stream = db.createHistoryStream({ reverse: true })
    stream.on('data', node => {
      if (!/messages/.test(node.key)) return
      if (seen.has(node.key)) return stream.destroy()
      seen.set(node.key, node.value)
      call(node.value)
    })
    const end = () => {
      if (!isBusy) return
      isBusy = false
      if (isDue) { isDue = false; look() }
    }
    stream.on('end', end)
    stream.on('close', end)
  }
  return messages(db).then(found => {
    for (const [key, value] of found) seen.set(key, value)
    db.watch('messages', look)
  })
}

async function makeRoom (count) {
  const rooms = [await open(null)]
  await write(rooms[0], 'welcome')
  for (let number = 1; number < 20; number++) {
    const room = await open(rooms[0].key)
    await wait(done => rooms[0].authorize(room.local.key, done))
    rooms.push(room)
    const stream = replicate(rooms[0])
    stream.pipe(replicate(room)).pipe(stream)
  }
  let written = 1
  while (written < count) {
    for (const room of rooms) {
      for (let turn = 0; turn < 25 && written < count; turn++, written++) {
        await write(room, `This is message number ${written} of a room with many.`)
      }
      const length = room.local.length
      await new Promise(resolve => {
        const look = () => {
          const feed = rooms[0].feeds.find(feed => feed.key.equals(room.local.key))
          if (feed && feed.downloaded() >= length) return resolve()
          setImmediate(look)
        }
        look()
      })
    }
  }
  return rooms[0]
}

async function run (options, distances = null) {
  const count = options.scale(20000)
  const room = await makeRoom(count)
  const server = await listen(() => replicate(room))
  const entries = room.feeds.reduce((sum, feed) => sum + feed.length - 1, 0)
  for (const roundTrip of distances || []) {
    const child = fork(__filename, [
      room.key.toString('hex'), server.address().port, room.feeds.length, entries, 0, roundTrip
    ])
    child.on('message', told => { for (const { name, value, unit } of told.samples) tell(name, value, unit) })
    await new Promise(resolve => child.once('exit', resolve))
  }
  if (distances) return
  const child = fork(__filename, [
    room.key.toString('hex'), server.address().port, room.feeds.length, entries,
    options.scale(1000)
  ])
  child.on('message', async told => {
    if (told.authorize) {
      await wait(done => room.authorize(Buffer.from(told.authorize, 'hex'), done))
      await follow(room, value => { if (value.message === 'ping') write(room, 'pong') })
      child.send('authorized')
    } else {
      for (const { name, value, unit } of told.samples) tell(name, value, unit)
    }
  })
  await new Promise(resolve => child.once('exit', resolve))
}

async function join (key, port, feeds, entries, rounds, roundTrip) {
  const start = now()
  const room = await open(key)
  connect(replicate(room), net.connect(port, '127.0.0.1'), roundTrip / 2)
  await untilShown(room, feeds, entries)
  const found = await messages(room)
  const time = now() - start
  const peak = peakMemory()
  if (found.size === 0) throw new Error('no messages')
  if (roundTrip) {
    const samples = [{ name: `distance.room.${roundTrip}ms`, value: time, unit: 's' }]
    return process.send({ samples }, () => process.exit(0))
  }
  process.send({ authorize: room.local.key.toString('hex') })
  await new Promise(resolve => process.once('message', resolve))
  let answered = () => {}
  await follow(room, value => { if (value.message === 'pong') answered() })
  const times = []
  for (let round = 0; round < rounds; round++) {
    const begin = now()
    const answer = new Promise(resolve => { answered = resolve })
    await write(room, 'ping')
    await answer
    times.push((now() - begin) / 2)
    if (now() - start > 60) break
  }
  process.send({
    samples: [
      { name: 'room.join', value: time, unit: 's' },
      { name: 'room.join.memory', value: peak, unit: 'MB' },
      { name: 'room.live', value: median(times) * 1e3, unit: 'ms' }
    ]
  }, () => process.exit(0))
}

if (require.main === module) {
  const [key, ...numbers] = process.argv.slice(2)
  join(key, ...numbers.map(Number), ...(numbers.length < 5 ? [0] : []))
}

module.exports = { rows: { room: o => run(o), 'distance.room': o => run(o, [20, 100, 300]) } }
