// The browser's end of a room: each channel's bytes go to a WebSocket, behind which is the peer whose end of the
// room this browser is. The query is that of peers.js.

import { join } from './peers.js'

join((channel, peer) => {
  const pipe = new WebSocket(`ws://${location.host}/peer`)
  pipe.binaryType = 'arraybuffer'
  const early = []
  pipe.onopen = () => { for (const bytes of early.splice(0)) pipe.send(bytes) }
  channel.onmessage = ({ data }) => {
    if (pipe.readyState === WebSocket.OPEN) pipe.send(data)
    else early.push(data)
  }
  const waiting = []
  const drain = () => {
    while (waiting.length && channel.readyState === 'open' && channel.bufferedAmount <= 64 * 1024) channel.send(waiting.shift())
  }
  channel.onbufferedamountlow = drain
  pipe.onmessage = ({ data }) => {
    for (let at = 0; at < data.byteLength; at += 16384) waiting.push(data.slice(at, at + 16384))
    drain()
  }
  pipe.onclose = () => setTimeout(() => peer.destroy('its end'), 100)
  return () => pipe.close()
})
