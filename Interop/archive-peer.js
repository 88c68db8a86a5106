// A peer of one archive in a folder with its files, as dat keeps it, or, sparse, in memory. Commands: open,
// openSparse, write, remove, listen, connect, disconnect, files, read, stored, version, close.
'use strict'

const fs = require('fs')
const path = require('path')
const hyperdrive = require('hyperdrive')
const datStorage = require('dat-storage')
const { run, connections, wait } = require('./peer')

let archive = null
let folder = null

// The paths of all files of the newest version, with their texts in hex.
async function files (name, all) {
  for (const entry of await wait(done => archive.readdir(name, { cached: true }, done))) {
    const child = path.posix.join(name, entry)
    const stat = await wait(done => archive.stat(child, { cached: true }, done))
    if (stat.isDirectory()) await files(child, all)
    else all[child] = (await wait(done => archive.readFile(child, { cached: true }, done))).toString('hex')
  }
  return all
}

run({
  // `folder`; `key`: the archive to copy.
  open: async options => {
    folder = options.folder
    const storage = datStorage(folder, { secretDir: folder + '.secrets' })
    archive = hyperdrive(storage, options.key ? Buffer.from(options.key, 'hex') : null, { latest: true })
    await wait(done => archive.ready(done))
    return { key: archive.key.toString('hex') }
  },
  // `key`: the archive to look into, of which only what is asked for is fetched.
  openSparse: async options => {
    const memory = require('random-access-memory')
    archive = hyperdrive(() => memory(), Buffer.from(options.key, 'hex'), { sparse: true, sparseMetadata: true })
    await wait(done => archive.ready(done))
    return { key: archive.key.toString('hex') }
  },
  read: async ({ key }) => {
    if (!archive.content) await wait(done => archive.metadata.update(done))
    const bytes = await wait(done => archive.readFile(key, done))
    return { texts: { [key]: bytes.toString('hex') } }
  },
  // How many blocks of the entries and of the content are here.
  stored: async () => {
    const count = feed => Array.from({ length: feed.length }, (_, index) => feed.has(index)).filter(Boolean).length
    return { length: count(archive.metadata), byteLength: count(archive.content) }
  },
  write: async ({ key, text }) => {
    await wait(done => archive.writeFile(key, text, done))
    return {}
  },
  remove: async ({ key }) => {
    await wait(done => archive.unlink(key, done))
    return {}
  },
  ...connections(() => archive.replicate({ live: true })),
  version: async () => ({ length: archive.version }),
  files: async () => ({ texts: await files('/', {}) }),
  close: async () => {
    await wait(done => archive.close(done))
    return {}
  }
})
