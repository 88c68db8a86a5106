// Measures the reference packages: node run.js ROW [--quick] --folder FOLDER, a line of JSON a number.
//
// The packages come from NODE_PATH. `--check` says whether they are there, `--list` which rows there are.
'use strict'

const { hypercore, hyperdb, memory, remove } = require('./common')

const args = process.argv.slice(2)
const isThere = Boolean(hypercore && hyperdb && memory)
if (args.includes('--check')) {
  console.log(JSON.stringify({ ok: isThere }))
  process.exit(0)
}
if (!isThere) {
  console.error('hypercore, hyperdb and random-access-memory are needed: set NODE_PATH to them.')
  process.exit(1)
}

const rows = {}
for (const file of ['feed', 'replicate', 'database', 'room', 'archive']) {
  Object.assign(rows, require('./' + file).rows)
}
if (args.includes('--list')) {
  console.log(Object.keys(rows).join('\n'))
  process.exit(0)
}

const isQuick = args.includes('--quick')
const place = args.indexOf('--folder')
const options = {
  isQuick,
  folder: place < 0 ? require('path').join(require('os').tmpdir(), 'dat-bench-node') : args[place + 1],
  scale: count => isQuick ? Math.max(Math.floor(count / 10), 1) : count
}
const row = rows[args[0]]
if (!row) process.exit(0)
row(options).then(
  () => { remove(options.folder); process.exit(0) },
  error => { remove(options.folder); console.error(error); process.exit(1) })
