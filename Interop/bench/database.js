// Puts, gets, lists and histories.
'use strict'

const { hyperdb, memory, now, tell, wait, shuffler, subfolder } = require('./common')

const key = number => `people/${number % 100}/${number}`
const value = Buffer.from('{"name":"somebody","city":"somewhere","age":42}')

async function open (storage, key, options) {
  const db = hyperdb(storage, key, options)
  await wait(done => db.ready(done))
  return db
}

async function fill (db, first, end) {
  for (let start = first; start < end; start += 5000) {
    const changes = []
    for (let number = start; number < Math.min(start + 5000, end); number++) {
      changes.push({ type: 'put', key: key(number), value })
    }
    await wait(done => db.batch(changes, done))
  }
}

async function put (name, storage, count) {
  const db = await open(storage)
  await fill(db, 0, 100)
  const start = now()
  for (let number = 100; number < count + 100; number++) {
    await wait(done => db.put(key(number), value, done))
  }
  tell(name, count / (now() - start), '/s')
}

async function get (name, options, storage, reopened) {
  const count = options.scale(20000)
  let db = await open(storage)
  await fill(db, 0, count)
  if (reopened) db = await open(storage)
  const order = shuffler(3)
  const reads = options.scale(50000)
  const keys = Array.from({ length: reads }, () => key(order(count)))
  for (const one of keys.slice(0, 20000)) await wait(done => db.get(one, done))
  const start = now()
  for (const one of keys) await wait(done => db.get(one, done))
  tell(name, reads / (now() - start), '/s')
}

function drain (stream) {
  return new Promise((resolve, reject) => {
    let count = 0
    stream.on('data', data => { count += Array.isArray(data) ? data.length : 1 })
    stream.on('end', () => resolve(count))
    stream.on('error', reject)
  })
}

async function walk (name, options, start) {
  const db = await open(() => memory())
  await fill(db, 0, options.scale(20000))
  await drain(start(db))
  const begin = now()
  let count = 0
  for (let round = 0; round < 3; round++) count += await drain(start(db))
  tell(name, count / (now() - begin), '/s')
}

module.exports = {
  open,
  rows: {
    'db.put.files': o => put('db.put.files', subfolder(o), o.scale(3000)),
    'db.put.memory': o => put('db.put.memory', () => memory(), o.scale(10000)),
    'db.batch': async o => {
      const db = await open(() => memory())
      const rounds = o.scale(10)
      const start = now()
      await fill(db, 0, rounds * 5000)
      tell('db.batch', rounds * 5000 / (now() - start), '/s')
    },
    'db.get.memory': o => get('db.get.memory', o, () => memory(), false),
    'db.get.files': o => get('db.get.files', o, subfolder(o), true),
    'db.list': o => walk('db.list', o, db => db.createReadStream('')),
    'db.history': o => walk('db.history', o, db => db.createHistoryStream()),
    'db.growth': async o => {
      const db = await open(subfolder(o))
      let size = 0
      for (const [keys, name] of [[1000, '1k'], [10000, '10k'], [100000, '100k']]) {
        await fill(db, size, keys)
        let start = now()
        for (let number = 0; number < 200; number++) {
          await wait(done => db.put(key(keys + number), value, done))
        }
        tell('db.put.growth.' + name, 200 / (now() - start), '/s')
        size = keys + 200
        const order = shuffler(4)
        start = now()
        for (let read = 0; read < 1000; read++) {
          const number = order(keys)
          await wait(done => db.get(key(number), done))
        }
        tell('db.get.growth.' + name, 1000 / (now() - start), '/s')
        start = now()
        const count = await drain(db.createReadStream(''))
        tell('db.list.growth.' + name, count / (now() - start), '/s')
      }
    }
  }
}
