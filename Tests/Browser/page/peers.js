// The part that the workshop's page plays towards its peers: it is found at a hub, and offers and answers as
// simple-peer does. What is done with each channel is up to the page.
//
// ?hub=URL&app=DISCOVERY-KEY&id=NAME, &ice=JSON for servers of STUN and TURN, and &quits for a page that goes amid
// its first handshake

export const query = new URLSearchParams(location.search)
const hubURL = query.get('hub')
const app = query.get('app')
const id = query.get('id')
const iceServers = JSON.parse(query.get('ice') ?? '[]')
const peers = new Map()
let carry = () => {}

const control = new WebSocket(`ws://${location.host}/control`)
const early = []
control.onopen = () => { for (const line of early.splice(0)) control.send(line) }
control.onmessage = ({ data }) => { if (data === 'reload') location.reload() }

export function report (event, more = {}) {
  document.getElementById('state').textContent = event
  const line = JSON.stringify({ event, id, ...more })
  if (control.readyState === WebSocket.OPEN) control.send(line)
  else early.push(line)
}

// MARK: The hub, of either kind

let send = () => {}
let listening = false

function openSockets () {
  const socket = new WebSocket(`${hubURL}/${app}`)
  socket.onopen = () => {
    send = (channel, message) => {
      if (socket.readyState === WebSocket.OPEN) socket.send(JSON.stringify({ app, channel, message }))
    }
    listens()
  }
  socket.onmessage = ({ data }) => {
    const { channel, message } = JSON.parse(data)
    if (channel === 'all' || channel === id) heard(message)
  }
  socket.onclose = () => setTimeout(openSockets, 500)
}

function openEvents () {
  const source = new EventSource(`${hubURL}/v1/${app}/all,${id}`)
  send = (channel, message) => {
    fetch(`${hubURL}/v1/${app}/${channel}`, { method: 'POST', body: JSON.stringify(message) }).catch(() => {})
  }
  source.onopen = listens
  source.onmessage = ({ data }) => heard(JSON.parse(data))
}

function listens () {
  report('listening')
  if (!listening) announce()
  listening = true
}

function announce () {
  send('all', { type: 'connect', from: id })
  const [least, spread] = peers.size ? [13000, 2000] : [3000, 2000]
  setTimeout(announce, least + Math.random() * spread)
}

function heard (message) {
  const { from, type, signal } = message
  if (!from || from === id) return
  if (type === 'connect') {
    if (!peers.has(from)) peers.set(from, new Peer(from, true))
    return
  }
  if (!signal) return
  if (!peers.has(from)) {
    if (signal.type !== 'offer') return
    peers.set(from, new Peer(from, false))
  }
  peers.get(from).signal(signal)
}

// MARK: A peer, as simple-peer is one

class Peer {
  constructor (other, initiator) {
    this.other = other
    this.candidates = []
    this.turn = Promise.resolve()
    this.pc = new RTCPeerConnection({ iceServers })
    this.pc.onicecandidate = ({ candidate }) => {
      if (!candidate) return
      this.say({ candidate: { candidate: candidate.candidate, sdpMLineIndex: candidate.sdpMLineIndex, sdpMid: candidate.sdpMid } })
    }
    this.pc.oniceconnectionstatechange = () => {
      if (['disconnected', 'failed', 'closed'].includes(this.pc.iceConnectionState)) this.destroy(this.pc.iceConnectionState)
    }
    if (initiator) {
      const label = Array.from(crypto.getRandomValues(new Uint8Array(20)), byte => byte.toString(16).padStart(2, '0')).join('')
      this.use(this.pc.createDataChannel(label, { ordered: true }))
      this.next(async () => {
        await this.pc.setLocalDescription(await this.pc.createOffer())
        this.describe()
        if (query.has('quits')) {
          report('quit')
          setTimeout(() => location.replace('about:blank'), 100)
        }
      })
    } else {
      this.pc.ondatachannel = ({ channel }) => this.use(channel)
    }
  }

  /** One thing after the other: descriptions and candidates come while others are worked on. */
  next (work) { this.turn = this.turn.then(work).catch(error => this.destroy(`${error}`)) }

  say (signal) { send(this.other, { from: id, signal }) }
  describe () { this.say({ type: this.pc.localDescription.type, sdp: this.pc.localDescription.sdp }) }

  signal (signal) {
    this.next(async () => {
      if (signal.sdp) {
        await this.pc.setRemoteDescription(signal)
        for (const candidate of this.candidates.splice(0)) await this.pc.addIceCandidate(candidate)
        if (signal.type === 'offer') {
          await this.pc.setLocalDescription(await this.pc.createAnswer())
          this.describe()
        }
      } else if (signal.candidate) {
        if (this.pc.remoteDescription) await this.pc.addIceCandidate(signal.candidate)
        else this.candidates.push(signal.candidate)
      } else {
        this.destroy('a signal that is none')
      }
    })
  }

  /** The channel that carries the bytes; a second one is ignored, as simple-peer does. */
  use (channel) {
    if (this.channel) return
    this.channel = channel
    channel.binaryType = 'arraybuffer'
    channel.bufferedAmountLowThreshold = 64 * 1024
    channel.onopen = () => {
      report('connected', { other: this.other })
      this.ended = carry(channel, this)
    }
    channel.onclose = () => this.destroy('the channel closed')
  }

  destroy (why) {
    if (this.destroyed) return
    this.destroyed = true
    peers.delete(this.other)
    this.pc.close()
    this.ended?.()
    report('disconnected', { other: this.other, why })
  }
}

/** Joins the room; `use` gets each channel that opens, and its peer, and returns what is called at its end. */
export function join (use) {
  carry = use
  if (hubURL.startsWith('ws')) openSockets()
  else openEvents()
}
