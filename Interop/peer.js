// What the peers of this kit share: commands as JSON lines on standard input, answers as JSON lines on
// standard output, and connections over TCP on the loopback interface.
//
// A command is {"id": 1, "do": "append", …}; its answer {"id": 1, …} or {"id": 1, "error": "why"}. What
// happens by itself is told as {"event": …}. A peer ends when its standard input does.
'use strict'

const net = require('net')
const readline = require('readline')

const tell = object => process.stdout.write(JSON.stringify(object) + '\n')

// A function with a callback as a promise.
const wait = start => new Promise((resolve, reject) => {
  start((error, value) => error ? reject(error) : resolve(value))
})

// Answers commands, each with the method of its name.
function run (methods) {
  const input = readline.createInterface({ input: process.stdin })
  input.on('line', line => {
    const command = JSON.parse(line)
    Promise.resolve()
      .then(() => {
        const method = methods[command.do]
        if (!method) throw new Error(`there is no command ${command.do}`)
        return method(command)
      })
      .then(answer => tell({ id: command.id, ...answer }))
      .catch(error => tell({ id: command.id, error: error.message || String(error) }))
  })
  input.on('close', () => process.exit(0))
}

// The commands `listen`, `connect` and `disconnect`; `attach` gives a replication stream for a connection.
function connections (attach) {
  const sockets = new Set()
  function carry (socket) {
    socket.setNoDelay(true)
    sockets.add(socket)
    const stream = attach()
    let told = false
    const end = error => {
      if (told) return
      told = true
      sockets.delete(socket)
      stream.destroy()
      socket.destroy()
      tell({ event: 'disconnect', error: error ? error.message : null })
    }
    socket.on('error', end)
    socket.on('close', () => end())
    stream.on('error', end)
    // The last bytes go out before the socket is let go.
    stream.on('end', () => socket.end())
    stream.pipe(socket)
    // A stream that is ended, not destroyed, never tells that it closed.
    socket.pipe(stream, { end: false })
    socket.on('end', () => end())
  }
  return {
    listen: () => new Promise((resolve, reject) => {
      const server = net.createServer(carry)
      server.on('error', reject)
      server.listen(0, '127.0.0.1', () => resolve({ port: server.address().port }))
    }),
    connect: ({ port }) => new Promise((resolve, reject) => {
      const socket = net.connect(port, '127.0.0.1')
      socket.once('error', reject)
      socket.once('connect', () => {
        carry(socket)
        resolve({})
      })
    }),
    disconnect: () => {
      for (const socket of sockets) socket.destroy()
      return {}
    }
  }
}

module.exports = { run, connections, tell, wait }
