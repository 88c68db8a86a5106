// Feeds over TCP on the loopback interface, between two processes.
'use strict'

const net = require('net')
const { Transform } = require('stream')
const { fork } = require('child_process')
const { memory, now, tell, wait, median, subfolder } = require('./common')
const { open, fill } = require('./feed')

// With a number of milliseconds, what goes either way takes that long.
function connect (stream, socket, delay = 0) {
  const ignore = () => {}
  socket.on('error', ignore)
  stream.on('error', ignore)
  if (delay) stream.pipe(hold(delay)).pipe(socket).pipe(hold(delay)).pipe(stream)
  else stream.pipe(socket).pipe(stream)
}

function hold (delay) {
  return new Transform({
    highWaterMark: 4 << 20,
    transform (bytes, encoding, done) {
      setTimeout(() => this.push(bytes), delay)
      done()
    },
    flush (done) { setTimeout(done, delay) }
  })
}

function listen (make) {
  return new Promise(resolve => {
    const server = net.createServer(socket => connect(make(), socket))
    server.listen(0, '127.0.0.1', () => resolve(server))
  })
}

// The other process: serves a new feed of so many blocks.
async function serve (folder, count, size) {
  const feed = await open(folder)
  await fill(feed, count, size)
  const server = await listen(() => feed.replicate({ live: true }))
  process.send({ port: server.address().port, key: feed.key.toString('hex') })
}

// Starts `file` as another process and waits for its first message.
function other (file, args) {
  return new Promise((resolve, reject) => {
    const child = fork(file, args)
    child.once('message', told => resolve({ child, told }))
    child.once('error', reject)
  })
}

async function fetch (name, options, count, size, toFiles, unit, of, roundTrip = 0) {
  const { child, told } = await other(__filename, [subfolder(options), count, size])
  const feed = await open(toFiles ? subfolder(options) : () => memory(), told.key, { sparse: true })
  const start = now()
  connect(feed.replicate({ live: true }), net.connect(told.port, '127.0.0.1'), roundTrip / 2)
  await wait(done => feed.download({ start: 0, end: count, linear: true }, done))
  const time = now() - start
  tell(name, of === 's' ? time : count * unit / time, of)
  child.kill()
}

if (require.main === module) {
  const [folder, count, size] = process.argv.slice(2)
  serve(folder, Number(count), Number(size))
}

const distances = {}
for (const roundTrip of [20, 100, 300]) {
  const name = `distance.feed.${roundTrip}ms`
  distances[name] = o => fetch(name, o, o.scale(2000), 100, false, 1, 's', roundTrip)
}

module.exports = {
  connect,
  listen,
  other,
  rows: {
    ...distances,
    'replicate.small': o =>
      fetch('replicate.small', o, o.scale(o.isQuick ? 200000 : 100000), 100, false, 1, '/s'),
    'replicate.large': o =>
      fetch('replicate.large', o, o.scale(4096), 65536, true, 65536 / 1e6, 'MB/s'),
    'live.feed': async o => {
      const writer = await open(() => memory())
      const reader = await open(() => memory(), writer.key)
      const server = await listen(() => writer.replicate({ live: true }))
      connect(reader.replicate({ live: true }), net.connect(server.address().port, '127.0.0.1'))
      await wait(done => writer.append(Buffer.alloc(1), done))
      await wait(done => reader.get(0, done))
      const times = []
      for (let number = 1; number <= o.scale(500); number++) {
        const waiting = wait(done => reader.get(number, done))
        await new Promise(resolve => setTimeout(resolve, 1))
        const start = now()
        await wait(done => writer.append(Buffer.alloc(100, 1), done))
        await waiting
        times.push(now() - start)
      }
      tell('live.feed', median(times) * 1e3, 'ms')
    }
  }
}
