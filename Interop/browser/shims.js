// What the modules expect of Node, in a browser.
globalThis.global = globalThis
globalThis.process = { browser: true, env: {}, version: '', nextTick: (work, ...all) => queueMicrotask(() => work(...all)) }
globalThis.Buffer = require('buffer').Buffer
