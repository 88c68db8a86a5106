// A peer that runs the workshop's own Saga class, driven by lines and telling JSON lines.
//
//   DAT_WORKSHOP=<checkout of geut/dat-workshop> NODE_PATH=<packages> \
//     node workshop-peer.js --name NAME (--listen | --key HEX --connect PORT) [--dir DIR]
//
// With --operations it runs the later package @geut/saga instead, from the checkout of geut/saga that
// DAT_GEUT_SAGA names.
//
// Each line of standard input is a message, or an operation as JSON. It ends when standard input does, after the last message
// was written and two seconds for peers to fetch it.
'use strict'

const net = require('net')
const path = require('path')
const readline = require('readline')
const pump = require('pump')
const memory = require('random-access-memory')
const { parseArgs } = require('util')

const { values: options } = parseArgs({
  options: {
    name: { type: 'string' },
    key: { type: 'string' },
    dir: { type: 'string' },
    listen: { type: 'boolean' },
    operations: { type: 'boolean' },
    connect: { type: 'string' }
  }
})

const variable = options.operations ? 'DAT_GEUT_SAGA' : 'DAT_WORKSHOP'
const checkout = process.env[variable]
if (!checkout) throw new Error(`${variable} must name a checkout`)
const place = options.operations ? '.' : 'problems/10/olaf/src/lib/saga'
const saga = require(path.join(path.resolve(checkout), place))

const tell = (event, fields) => console.log(JSON.stringify({ event, ...fields }))
const hex = key => Buffer.from(key.data || key).toString('hex')

const room = saga(options.dir || (() => memory()), options.key || null, options.name)
room.on('message', (data, key) => tell('message', { data: { ...data, key } }))
room.on('operation', (data, key) => tell('operation', { data: { ...data, key } }))
room.on('join', data => tell('join', { data: { username: data.username, key: hex(data.key) } }))
room.on('leave', data => tell('leave', { data: { username: data.username, key: hex(data.key) } }))

function serve (socket) {
  socket.setNoDelay(true)
  const stream = room.replicate()
  stream.on('handshake', () => {
    room.connect(stream).catch(error => tell('error', { message: error.message }))
  })
  pump(socket, stream, socket, error => tell('disconnect', { message: error ? error.message : null }))
}

room.initialize().then(() => {
  tell('ready', { key: room.db.key.toString('hex'), local: room.db.local.key.toString('hex') })
  if (options.listen) {
    const server = net.createServer(serve)
    server.listen(0, '127.0.0.1', () => tell('listening', { port: server.address().port }))
  }
  if (options.connect) serve(net.connect(Number(options.connect), '127.0.0.1'))
  let writing = Promise.resolve()
  readline.createInterface({ input: process.stdin })
    .on('line', line => {
      writing = writing.then(() =>
        options.operations ? room.writeOperation(JSON.parse(line)) : room.writeMessage(line))
        .catch(error => tell('error', { message: error.message }))
    })
    .on('close', () => writing.then(() => setTimeout(() => process.exit(0), 2000)))
}).catch(error => {
  tell('error', { message: error.message })
  process.exit(1)
})
