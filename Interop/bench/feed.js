// Appends and reads of one feed.
'use strict'

const { hypercore, memory, now, tell, wait, makeBlocks, shuffler, subfolder } = require('./common')

async function open (storage, key, options) {
  const feed = hypercore(storage, key, options)
  await wait(done => feed.ready(done))
  return feed
}

async function fill (feed, count, size) {
  const batch = size > 10000 ? 64 : 5000
  for (let start = 0; start < count; start += batch) {
    const blocks = makeBlocks(Math.min(batch, count - start), size, start)
    await wait(done => feed.append(blocks, done))
  }
}

async function appendOne (name, storage, count) {
  const feed = await open(storage)
  const blocks = makeBlocks(count, 100)
  for (const block of blocks.slice(0, 100)) await wait(done => feed.append(block, done))
  const start = now()
  for (const block of blocks) await wait(done => feed.append(block, done))
  tell(name, count / (now() - start), '/s')
}

async function appendBatches (name, storage, batch, count, unit, of) {
  const feed = await open(storage)
  await wait(done => feed.append(batch, done))
  const start = now()
  for (let round = 0; round < count; round++) await wait(done => feed.append(batch, done))
  tell(name, count * batch.length * unit / (now() - start), of)
}

module.exports = {
  open,
  fill,
  rows: {
    'append.one.files': o => appendOne('append.one.files', subfolder(o), o.scale(5000)),
    'append.one.memory': o => appendOne('append.one.memory', () => memory(), o.scale(20000)),
    'append.batch.files': o => appendBatches('append.batch.files', subfolder(o),
      makeBlocks(1000, 100), o.scale(200), 1, '/s'),
    'append.large.files': o => appendBatches('append.large.files', subfolder(o),
      makeBlocks(16, 65536), o.scale(100), 65536 / 1e6, 'MB/s'),
    'get.random.files': async o => {
      const count = o.scale(200000)
      const feed = await open(subfolder(o))
      await fill(feed, count, 100)
      const order = shuffler(1)
      const reads = o.scale(20000)
      const start = now()
      for (let read = 0; read < reads; read++) {
        const index = order(count)
        await wait(done => feed.get(index, done))
      }
      tell('get.random.files', reads / (now() - start), '/s')
    },
    'get.batch.files': async o => {
      const count = o.scale(200000)
      const feed = await open(subfolder(o))
      await fill(feed, count, 100)
      const start = now()
      for (let round = 0; round < 5; round++) {
        for (let first = 0; first < count; first += 1000) {
          await wait(done => feed.getBatch(first, Math.min(first + 1000, count), done))
        }
      }
      tell('get.batch.files', 5 * count / (now() - start), '/s')
    },
    proof: async o => {
      const count = o.scale(200000)
      const feed = await open(subfolder(o))
      await fill(feed, count, 100)
      const order = shuffler(2)
      const reads = o.scale(20000)
      const start = now()
      for (let read = 0; read < reads; read++) {
        const index = order(count)
        await wait(done => feed.proof(index, done))
      }
      tell('proof', reads / (now() - start), '/s')
    }
  }
}
