// Folders as archives: taken in, cloned between two processes, and listed.
'use strict'

const fs = require('fs')
const net = require('net')
const path = require('path')
const { now, tell, wait, makeBlocks, remove, subfolder, peakMemory } = require('./common')
const { connect, listen, other } = require('./replicate')

const need = name => { try { return require(name) } catch (error) { return null } }
const hyperdrive = need('hyperdrive')
const datStorage = need('dat-storage')
const mirror = need('mirror-folder')
const isThere = Boolean(hyperdrive && datStorage && mirror)

const trees = {
  small: o => ({ count: o.scale(10000), size: 4096, path: n => `${Math.floor(n / 100)}/${n % 100}.bin` }),
  large: o => ({ count: 8, size: o.scale(125000000), path: n => `large-${n}.bin` }),
  deep: o => ({
    count: o.scale(100000),
    size: 100,
    path: n => [n / 10000, n / 1000 % 10, n / 100 % 10, n % 100].map(Math.floor).join('/') + '.txt'
  })
}

function make (tree, folder) {
  for (let number = 0; number < tree.count; number++) {
    const file = path.join(folder, tree.path(number))
    fs.mkdirSync(path.dirname(file), { recursive: true })
    const descriptor = fs.openSync(file, 'w')
    for (let start = 0; start < tree.size; start += 1 << 20) {
      fs.writeSync(descriptor, makeBlocks(1, Math.min(1 << 20, tree.size - start), number * 1000 + (start >> 20))[0])
    }
    fs.closeSync(descriptor)
  }
}

async function open (folder, key, options) {
  const storage = datStorage(folder, { secretDir: folder + '.secrets' })
  const archive = hyperdrive(storage, key, { latest: true, ...options })
  await wait(done => archive.ready(done))
  return archive
}

// Takes the folder in as dat does.
function take (archive, folder) {
  return wait(done => mirror(folder, { name: '/', fs: archive }, {
    dereference: true,
    ignore: (name, stat) => Boolean(stat && stat.isDirectory()) || name.includes('/.dat')
  }, done))
}

// The other process: makes files and an archive of them, tells how long that took, and serves it.
async function serve (folder, kind, isQuick) {
  const tree = trees[kind]({ scale: count => isQuick ? Math.max(Math.floor(count / 10), 1) : count })
  make(tree, folder)
  const archive = await open(folder, null, { indexing: true })
  const start = now()
  await take(archive, folder)
  const seconds = now() - start
  const server = await listen(() => archive.replicate({ live: true }))
  process.send({
    port: server.address().port, key: archive.key.toString('hex'), seconds, peak: peakMemory(), version: archive.version
  })
}

async function start (options, kind) {
  const folder = subfolder(options)
  const { child, told } = await other(__filename, [folder, kind, options.isQuick ? 'quick' : ''])
  const tree = trees[kind](options)
  if (told.version !== tree.count) throw new Error(`${told.version} of ${tree.count} files were taken in`)
  return { folder, child, told, tree, key: Buffer.from(told.key, 'hex') }
}

const amount = (kind, tree) => kind === 'large' ? tree.count * tree.size / 1e6 : tree.count
const unit = kind => kind === 'large' ? 'MB/s' : '/s'

async function measureImport (options, kind) {
  const { child, told, tree } = await start(options, kind)
  tell(`archive.import.${kind}`, amount(kind, tree) / told.seconds, unit(kind))
  tell(`archive.import.${kind}.memory`, told.peak, 'MB')
  child.kill()
}

async function clone (options, kind) {
  const { child, told, tree, key } = await start(options, kind)
  const target = subfolder(options)
  const archive = await open(target, key)
  const begin = now()
  const synced = new Promise(resolve => archive.on('sync', resolve))
  connect(archive.replicate({ live: true }), net.connect(told.port, '127.0.0.1'))
  await synced
  const seconds = now() - begin
  for (let number = 0; number < tree.count; number++) fs.statSync(path.join(target, tree.path(number)))
  tell(`archive.clone.${kind}`, amount(kind, tree) / seconds, unit(kind))
  tell(`archive.clone.${kind}.memory`, peakMemory(), 'MB')
  child.kill()
  remove(target)
}

async function walk (archive, name) {
  const names = await wait(done => archive.readdir(name, done))
  const stats = await Promise.all(names.map(child => wait(done => archive.stat(path.posix.join(name, child), done))))
  let count = names.length
  for (let place = 0; place < names.length; place++) {
    if (stats[place].isDirectory()) count += await walk(archive, path.posix.join(name, names[place]))
  }
  return count
}

async function stats (archive, name) {
  const names = await wait(done => archive.readdir(name, done))
  await Promise.all(names.map(child => wait(done => archive.stat(path.posix.join(name, child), done))))
}

async function list (options) {
  const { child, told, tree, folder, key } = await start(options, 'deep')
  tell('archive.list.import', tree.count / told.seconds, '/s')
  const walks = [
    ['root', archive => stats(archive, '/')], ['folder', archive => stats(archive, '/0/3/1')],
    ['all', archive => walk(archive, '/')]
  ]
  for (const [name, body] of walks) {
    const begin = now()
    const archive = await open(folder)
    await body(archive)
    tell(`archive.list.${name}`, (now() - begin) * 1e3, 'ms')
    await wait(done => archive.close(done))
  }
  const memory = require('random-access-memory')
  for (const [name, body] of walks.slice(0, 2)) {
    const begin = now()
    const archive = hyperdrive(() => memory(), key, { sparse: true, sparseMetadata: true })
    await wait(done => archive.ready(done))
    connect(archive.replicate({ live: true }), net.connect(told.port, '127.0.0.1'))
    await wait(done => archive.metadata.update(done))
    await body(archive)
    tell(`archive.list.${name}.link`, (now() - begin) * 1e3, 'ms')
    let blocks = 0
    for (let seq = 0; seq < archive.metadata.length; seq++) if (archive.metadata.has(seq)) blocks++
    tell(`archive.list.${name}.link.blocks`, blocks, 'blocks')
  }
  child.kill()
}

if (require.main === module) {
  const [folder, kind, isQuick] = process.argv.slice(2)
  serve(folder, kind, Boolean(isQuick))
}

module.exports = {
  rows: isThere
    ? {
        'archive.import.small': o => measureImport(o, 'small'),
        'archive.import.large': o => measureImport(o, 'large'),
        'archive.clone.small': o => clone(o, 'small'),
        'archive.clone.large': o => clone(o, 'large'),
        'archive.list': list
      }
    : {}
}
