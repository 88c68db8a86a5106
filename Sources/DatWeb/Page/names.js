// Who goes by which name. The server says what a name looks like, by the tables of Unicode; here names
// are only compared by that.

/** Beyond so many names every one has its key beside it: a stranger with ever new ones fills no memory. */
const NAMES = 10_000
/** Beyond so many keys of one look nothing more can be learnt. */
const KEYS = 64

export class Names {
  constructor () {
    this.looks = new Map()
    this.keys = new Map()
  }

  /** Notes that the feed of a key goes by a name that looks like this. */
  learn (key, name, look) {
    if (!look || this.looks.size > NAMES) return
    this.looks.set(name, look)
    const keys = this.keys.get(look.shape)
    if (!keys) this.keys.set(look.shape, new Set([key]))
    else if (keys.size < KEYS) keys.add(key)
  }

  /** Whether the name alone doesn't say who it is: another key goes by one that looks the same, or its
      letters are of scripts that no language mixes. */
  isAmbiguous (key, name) {
    const look = this.looks.get(name)
    if (!look || look.isMixed || this.looks.size > NAMES) return true
    const keys = this.keys.get(look.shape)
    return keys.size > 1 || !keys.has(key)
  }
}
