// A peer of one archive in a folder with its files, as dat keeps it. Commands: open, write, remove, listen,
// connect, disconnect, files, version, close.
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
