// What a browser does in Tests/Network/bench.py: ?mode=send or receive with &bytes=N, or echo, which measures how
// long 100 bytes take to the other side and back. The rest of the query is that of peers.js.

import { join, query, report } from './peers.js'

const mode = query.get('mode')
const bytes = Number(query.get('bytes'))

const modes = {
  send (channel) {
    const message = new Uint8Array(16384).fill(42)
    let left = bytes
    channel.bufferedAmountLowThreshold = 256 * 1024
    const more = () => {
      while (left > 0 && channel.readyState === 'open' && channel.bufferedAmount < 1024 * 1024) {
        const part = left < message.length ? message.subarray(0, left) : message
        channel.send(part)
        left -= part.length
      }
    }
    channel.onbufferedamountlow = more
    more()
  },

  receive (channel) {
    let received = 0
    let start
    channel.onmessage = ({ data }) => {
      start ??= performance.now()
      received += data.byteLength
      if (received >= bytes) report('received', { bytes: received, seconds: (performance.now() - start) / 1000 })
    }
  },

  echo (channel) {
    const times = []
    let sent
    const next = () => {
      sent = performance.now()
      channel.send(new Uint8Array(100))
    }
    channel.onmessage = () => {
      times.push(performance.now() - sent)
      if (times.length < 500) setTimeout(next, 2)
      else report('echoed', { median: times.sort((a, b) => a - b)[250], slowest: times[499] })
    }
    next()
  }
}

join(channel => { modes[mode](channel) })
