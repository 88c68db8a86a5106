// What the benchmarks of the reference packages share. They take the packages from NODE_PATH.
'use strict'

const fs = require('fs')
const path = require('path')

const need = name => { try { return require(name) } catch (error) { return null } }

const hypercore = need('hypercore')
const hyperdb = need('hyperdb')
const memory = need('random-access-memory')

const now = () => Number(process.hrtime.bigint()) / 1e9

function tell (name, value, unit) {
  process.stdout.write(JSON.stringify({ name, value, unit }) + '\n')
}

// A callback function as a promise.
const wait = start => new Promise((resolve, reject) => {
  start((error, value) => error ? reject(error) : resolve(value))
})

// Blocks that differ from each other.
function makeBlocks (count, size, first = 0) {
  const blocks = []
  for (let number = first; number < first + count; number++) {
    const block = Buffer.alloc(size, number & 255)
    block.writeUInt32LE((number * 2654435761) >>> 0, 0)
    blocks.push(block)
  }
  return blocks
}

// A repeatable order without a pattern.
function shuffler (seed) {
  let state = seed >>> 0
  return bound => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0
    return Math.floor(state / 4294967296 * bound)
  }
}

function median (values) {
  return values.slice().sort((a, b) => a - b)[values.length >> 1]
}

function remove (folder) {
  fs.rmSync(folder, { recursive: true, force: true })
}

// The highest that was resident since this program was started, in MB. The system's own count
// (maxRSS) is handed on from the process that started it.
function peakMemory () {
  try {
    const found = /VmHWM:\s+(\d+) kB/.exec(fs.readFileSync('/proc/self/status', 'utf8'))
    if (found) return Number(found[1]) * 1024 / 1e6
  } catch (error) {}
  return process.resourceUsage().maxRSS * 1024 / 1e6
}

let folders = 0
function subfolder (options) {
  const folder = path.join(options.folder, String(folders++))
  fs.mkdirSync(folder, { recursive: true })
  return folder
}

module.exports = {
  hypercore, hyperdb, memory, now, tell, wait, makeBlocks, shuffler, median, remove, subfolder, peakMemory
}
