// The browser's end of a room with the published modules: webrtc-swarm over simple-peer finds peers at a hub of either
// kind, with signalhub or signalhubws. Each peer's stream goes to a WebSocket, as in Tests/Browser/page, whose query
// and reports it shares.

const swarmOf = require('webrtc-swarm')
const sockets = require('signalhubws')
const events = require('signalhub')

const query = new URLSearchParams(location.search)
const url = query.get('hub')
const app = query.get('app')
const id = query.get('id')

const control = new WebSocket(`ws://${location.host}/control`)
const early = []
control.onopen = () => { for (const line of early.splice(0)) control.send(line) }
control.onmessage = ({ data }) => { if (data === 'reload') location.reload() }

function report (event, more = {}) {
  document.getElementById('state').textContent = event
  const line = JSON.stringify({ event, id, ...more })
  if (control.readyState === WebSocket.OPEN) control.send(line)
  else early.push(line)
}

const hub = url.startsWith('ws') ? sockets(app, [url]) : events(app, [url])
// As discovery-swarm-webrtc 1.0.1 makes it. No server beyond the hub is asked.
const swarm = swarmOf(hub, { uuid: id, config: { iceServers: [] } })
hub.subscribe(id).once('open', () => report('listening'))

swarm.on('peer', (peer, other) => {
  report('connected', { other })
  const pipe = new WebSocket(`ws://${location.host}/peer`)
  pipe.binaryType = 'arraybuffer'
  const waiting = []
  pipe.onopen = () => { for (const bytes of waiting.splice(0)) pipe.send(bytes) }
  peer.on('data', bytes => {
    if (pipe.readyState === WebSocket.OPEN) pipe.send(bytes)
    else waiting.push(bytes)
  })
  pipe.onmessage = ({ data }) => peer.write(Buffer.from(data))
  pipe.onclose = () => peer.end()
  peer.on('error', () => {})
  peer.on('close', () => pipe.close())
})
swarm.on('disconnect', (peer, other) => report('disconnected', { other }))
