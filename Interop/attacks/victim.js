// A feed of the reference that is served over TCP, to be attacked: what `dat feed serve` is here.
//
//   NODE_PATH=... node victim.js DIR
'use strict'

const net = require('net')
const hypercore = require('hypercore')

const feed = hypercore(process.argv[2])

feed.ready(error => {
  if (error) throw error
  const server = net.createServer(socket => {
    const stream = feed.replicate({ live: true, encrypt: true, download: !feed.writable })
    stream.on('error', () => socket.destroy())
    socket.on('error', () => stream.destroy())
    socket.pipe(stream).pipe(socket)
  })
  console.log(JSON.stringify({ event: 'ready', key: feed.key.toString('hex') }))
  server.listen(0, '127.0.0.1', () => {
    console.log(JSON.stringify({ event: 'listening', port: server.address().port }))
  })
})
