// The theme, before anything is drawn: the system's, or the one chosen here.
(() => {
  const dark = matchMedia('(prefers-color-scheme: dark)')
  const read = () => {
    try { return localStorage.getItem('theme') ?? 'system' } catch { return 'system' }
  }
  const apply = () => {
    const choice = read()
    const theme = choice === 'system' ? (dark.matches ? 'dark' : 'light') : choice
    document.documentElement.dataset.theme = theme === 'dark' ? 'dark' : 'light'
  }
  window.olafTheme = {
    get choice () { return read() },
    set choice (value) {
      try { localStorage.setItem('theme', value) } catch { /* only this page then */ }
      apply()
    }
  }
  dark.addEventListener('change', apply)
  window.addEventListener('storage', apply)
  apply()
})()
