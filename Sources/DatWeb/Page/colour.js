// A colour for every feed, from its key: the hue says who it is, the lightness is whatever it takes
// to be read. Contrast is computed as WCAG 2 does, against every surface that a name can stand on.

/** The surfaces of style.css that coloured names are written on. */
export const SURFACES = {
  light: ['#f7f5f1', '#ffffff', '#dff0ec', '#efece6', '#fff1d6'],
  dark: ['#15181b', '#1e2327', '#1b3a3b', '#292f35', '#3a3221']
}

/** What is reached at least, a little above the 4.5 that is asked for, for rounding. */
export const CONTRAST = 4.6

const linear = (value) => value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4
const gamma = (value) => value <= 0.0031308 ? 12.92 * value : 1.055 * value ** (1 / 2.4) - 0.055

const parse = (hex) => [1, 3, 5].map((start) => parseInt(hex.slice(start, start + 2), 16) / 255)

const format = (rgb) => '#' + rgb.map((value) => Math.round(value * 255).toString(16).padStart(2, '0')).join('')

export function luminance (hex) {
  const [red, green, blue] = parse(hex).map(linear)
  return 0.2126 * red + 0.7152 * green + 0.0722 * blue
}

export function contrast (one, other) {
  const [low, high] = [luminance(one), luminance(other)].sort((a, b) => a - b)
  return (high + 0.05) / (low + 0.05)
}

/** OKLCH to linear sRGB; values outside 0 to 1 are colours that a screen can't show. */
function oklch (lightness, chroma, hue) {
  const a = chroma * Math.cos(hue * Math.PI / 180)
  const b = chroma * Math.sin(hue * Math.PI / 180)
  const l = (lightness + 0.3963377774 * a + 0.2158037573 * b) ** 3
  const m = (lightness - 0.1055613458 * a - 0.0638541728 * b) ** 3
  const s = (lightness - 0.0894841775 * a - 1.291485548 * b) ** 3
  return [
    4.0767416621 * l - 3.3077115913 * m + 0.2309699292 * s,
    -1.2684380046 * l + 2.6097574011 * m - 0.3413193965 * s,
    -0.0041960863 * l - 0.7034186147 * m + 1.707614701 * s
  ]
}

/** The colour of that lightness and hue with as much of the chroma as a screen can show. */
function colour (lightness, chroma, hue) {
  for (let part = chroma; part > 0.005; part *= 0.92) {
    const rgb = oklch(lightness, part, hue)
    if (rgb.every((value) => value >= -0.0005 && value <= 1.0005)) return rgb
  }
  return oklch(lightness, 0, hue)
}

const hex = (rgb) => format(rgb.map((value) => gamma(Math.min(1, Math.max(0, value)))))

/** The lightness nearest to `wish` at which the colour can be read on all the surfaces. */
function readable (hue, chroma, wish, surfaces, step) {
  for (let lightness = wish; lightness > 0 && lightness < 1; lightness += step) {
    const candidate = hex(colour(lightness, chroma, hue))
    if (surfaces.every((surface) => contrast(candidate, surface) >= CONTRAST)) return candidate
  }
  return step < 0 ? '#000000' : '#ffffff'
}

const known = new Map()

/** The colours of a feed's key, one for each theme. */
export function coloursOf (key) {
  let colours = known.get(key)
  if (colours) return colours
  // Three parts of the key, so that one hue comes in some variety.
  const hue = parseInt(key.slice(0, 4), 16) / 65536 * 360
  const chroma = 0.1 + parseInt(key.slice(4, 6), 16) / 255 * 0.08
  const shift = parseInt(key.slice(6, 8), 16) / 255 * 0.1
  colours = {
    light: readable(hue, chroma, 0.58 - shift, SURFACES.light, -0.01),
    dark: readable(hue, chroma, 0.72 + shift, SURFACES.dark, 0.01)
  }
  if (known.size > 2000) known.clear()
  known.set(key, colours)
  return colours
}
