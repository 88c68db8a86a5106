"""What people do in a room: write, come and go, ask to come in, search, choose a theme."""

from peers import Peer
from selenium.webdriver.common.keys import Keys

DELIVERY = (
    "return [...document.querySelectorAll('.message.own')]"
    ".find((row) => row.querySelector('.text').textContent === arguments[0])"
    "?.querySelector('.delivery')?.className.replace('delivery ', '') ?? 'none'")


def pair(folder, one="ana", other="bea", options=()):
    ana = Peer(folder / one, one, options=options)
    bea = Peer(folder / other, other, key=ana.key, connect=[ana.address])
    return ana, bea


def test_two_browsers_on_two_peers_chat(folder, left, right):
    ana = Peer(folder / "ana", "ana")
    left.open_room(ana)
    assert "A quiet room" in left.text("#empty")
    assert "#" not in left.driver.current_url, "The secret stays in the address"
    left.shot("empty-room")

    left.write("is anybody there?")
    left.until_message("is anybody there?")
    left.until(lambda: left.script(DELIVERY, "is anybody there?") == "waiting")
    assert "Nobody else is here" in left.text("#strips")
    left.shot("nobody-here-yet")

    bea = Peer(folder / "bea", "bea", key=ana.key, connect=[ana.address])
    right.open_room(bea)
    right.until_message("is anybody there?")
    left.until(lambda: left.script(DELIVERY, "is anybody there?") == "sent")
    left.until(lambda: any("bea came in" in notice for notice in left.notices()))
    assert left.text("#strips") == ""
    assert "you and 1 more here" in left.text("#subtitle")
    right.until(lambda: right.text("#strips") == "")

    right.write("here I am: https://example.com/tea?for=two")
    left.until_message("here I am: https://example.com/tea?for=two")
    right.until(lambda: right.script(
        DELIVERY, "here I am: https://example.com/tea?for=two") == "sent")
    link = left.one("#messages a")
    assert link.get_attribute("href") == "https://example.com/tea?for=two"
    assert {"noopener", "noreferrer"} <= set(link.get_attribute("rel").split())
    for number in range(6):
        left.write(f"one thing, number {number}")
        right.write(f"another, number {number}")
    left.write("and some `code` to end with")
    for browser in (left, right):
        for number in range(6):
            browser.until_message(f"one thing, number {number}")
            browser.until_message(f"another, number {number}")
        assert browser.count_of("one thing, number 3") == 1
    assert sorted(left.messages()) == sorted(right.messages())
    left.shot("chat")
    right.shot("chat-other-side")

    ana.say("written in the terminal")
    right.until_message("written in the terminal")
    left.until_message("written in the terminal")

    left.click("#open-share")
    left.until(lambda: left.script("return document.getElementById('share').open"))
    assert left.script("return document.getElementById('share-link').value") == f"dat://{ana.key}"
    assert left.codes() == [f"dat://{ana.key}"]
    left.shot("share")
    left.cdp("Browser.grantPermissions", permissions=["clipboardReadWrite", "clipboardSanitizedWrite"])
    left.click_button("Copy link", "#share")
    left.until(lambda: "Copied" in left.text("#share .sheet-buttons"))
    assert left.script_async("return navigator.clipboard.readText()") == f"dat://{ana.key}"
    left.keys(Keys.ESCAPE)
    left.until(lambda: not left.script("return document.getElementById('share').open"))
    left.click("#people .person[data-key='%s']" % bea.local)
    left.until(lambda: left.script("return document.getElementById('person').open"))
    assert bea.local[:4] in left.text("#person .key")
    left.shot("person")


def test_one_leaves_and_returns(folder, left, right):
    ana, bea = pair(folder)
    left.open_room(ana)
    right.open_room(bea)
    right.write("I am off for a moment")
    left.until_message("I am off for a moment")

    # A quick return leaves no trace.
    assert bea.leave() == 0
    right.until(lambda: "is lost" in right.text("#banner"), "the banner")
    right.shot("connection-lost")
    ana.wait(lambda event: event["event"] == "leave")
    left.write("written while bea was away")
    bea = Peer(folder / "bea", "bea", key=ana.key, connect=[ana.address])
    right.open_room(bea)
    right.until_message("written while bea was away")
    right.until_message("I am off for a moment")
    right.write("back again")
    left.until_message("back again")
    assert not any("left" in notice for notice in left.notices()), left.notices()
    assert "you and 1 more here" in left.text("#subtitle")


def test_an_absence_shows_once_the_patience_is_over(folder, left, right):
    ana, bea = pair(folder, options=["--patience", "1"])
    left.open_room(ana)
    left.until(lambda: "you and 1 more here" in left.text("#subtitle"))
    assert bea.leave() == 0
    left.until(lambda: any("bea left" in notice for notice in left.notices()), "bea left")
    left.until(lambda: "only you here" in left.text("#subtitle"))
    left.shot("somebody-left")
    bea = Peer(folder / "bea", "bea", key=ana.key, connect=[ana.address])
    left.until(lambda: "you and 1 more here" in left.text("#subtitle"))
    left.until(lambda: any("bea came in" in notice for notice in left.notices()[-1:]))


def test_a_page_of_a_program_that_ended_says_so(folder, left, right):
    ana = Peer(folder / "ana", "ana")
    left.open_room(ana)
    ana.say("kept")
    left.until_message("kept")
    port = ana.origin.rsplit(":", 1)[1]
    assert ana.leave() == 0
    left.until(lambda: "is lost" in left.text("#banner"), "the banner")
    # Another run has another secret.
    ana = Peer(folder / "ana", "ana", web=False, options=["--web", port])
    left.until(lambda: "belongs to a dat that has ended" in left.text("#banner"), "the banner")
    left.shot("other-run")
    left.complaints()


def test_a_join_request_is_accepted_and_one_refused(folder, left, right):
    ana = Peer(folder / "ana", "ana", options=["--authorize", "ask"])
    ana.say("welcome, if I let you in")
    ana.wait_message("welcome, if I let you in")
    left.open_room(ana)
    eve = Peer(folder / "eve", "eve", key=ana.key, connect=[ana.address])
    right.open_room(eve)
    right.until_message("welcome, if I let you in")
    right.until(lambda: "Waiting to be let in" in right.text("#strips"))
    right.write("too early")
    right.until(lambda: "let you in" in right.text("#hint"))
    right.shot("waiting-to-be-let-in")
    left.until(lambda: left.all("#strips .request"), "the request")
    words = left.text("#strips .request-words")
    assert "eve" in words and eve.local[:4] in words, words
    assert "another writer may still let them in" in words, words
    left.shot("join-request")
    left.click_button("Accept", "#strips")
    right.until(lambda: "Waiting" not in right.text("#strips"))
    left.until(lambda: not left.all("#strips .request"))
    right.one("#text").send_keys(Keys.ENTER)
    right.until_message("too early")
    left.until_message("too early")

    # Refusing holds here; a writer who lets everybody in may do so all the same.
    mallory = Peer(folder / "mallory", "mallory", key=ana.key, connect=[ana.address])
    left.until(lambda: left.all("#strips .request"), "mallory's request")
    left.click_button("Refuse", "#strips")
    left.until(lambda: not left.all("#strips .request"))
    mallory.leave()
    mallory = Peer(folder / "mallory", "mallory", key=ana.key, connect=[eve.address])
    mallory.wait(lambda event: event["event"] == "authorized")
    mallory.say("somebody else let me in")
    right.until_message("somebody else let me in")
    # Refusing hides nothing: anybody could have asked in the name of this key.
    left.until_message("somebody else let me in")
    left.shot("refused-and-let-in")


def test_search_finds_and_leads_there(folder, left, right):
    ana = Peer(folder / "ana", "ana", listen=False)
    ana.say(*[f"line {number} of the story" for number in range(900)])
    ana.say("Zürich is reached at noon")
    ana.say(*[f"later line {number}" for number in range(300)])
    ana.wait_message("later line 299", 120)
    left.open_room(ana)
    left.until_message("later line 299")
    assert "line 5 of the story" not in left.messages()
    left.keys(Keys.TAB)
    left.script("document.activeElement.blur()")
    left.one("body").send_keys("/")
    left.until(lambda: left.focused() == "query", "the search field")
    left.keys("zurich")
    left.until(lambda: len(left.all("#search .result")) == 1)
    assert left.text("#search mark") == "Zürich"
    left.shot("search")
    left.keys(Keys.ARROW_DOWN, Keys.ENTER)
    left.until(lambda: left.text(".found .text") == "Zürich is reached at noon")
    assert left.script(
        "const row = document.querySelector('.found').getBoundingClientRect();"
        "const view = document.getElementById('history').getBoundingClientRect();"
        "return row.top >= view.top && row.bottom <= view.bottom")
    left.shot("search-result")
    assert left.one("#jump").is_displayed()
    left.click("#jump")
    left.until_message("later line 299")
    left.click("#open-search")
    left.click("#open-search")
    left.until(lambda: left.focused() == "query")
    left.keys("later line")
    left.until(lambda: "30 or more found" in left.text("#search .status"), "a page of results")
    left.click_button("Older ones", "#search")
    left.until(lambda: len(left.all("#search .result")) == 60)


def test_the_theme_follows_the_system_and_the_switch(folder, left, right):
    ana, bea = pair(folder)
    bea.wait(lambda event: event["event"] == "authorized")
    bea.say("which theme do you use?", "I take the dark one at night")
    ana.wait_message("I take the dark one at night")
    ana.say("as the system")
    left.system_theme("light")
    left.open_room(ana)
    left.until_message("as the system")
    theme = "return document.documentElement.dataset.theme"
    ground = "return getComputedStyle(document.body).backgroundColor"
    assert left.script(theme) == "light"
    light = left.script(ground)
    left.system_theme("dark")
    left.until(lambda: left.script(theme) == "dark")
    assert left.script(ground) != light
    left.shot("dark")
    left.system_theme("light")
    left.until(lambda: left.script(theme) == "light")
    left.click("#open-menu")
    left.shot("menu")
    left.click("#menu input[value=dark]")
    left.until(lambda: left.script(theme) == "dark")
    left.driver.refresh()
    left.until_message("as the system")
    assert left.script(theme) == "dark", "The choice is forgotten"
    # The text and every colour of a name stand out from what they are written on.
    for chosen in ("dark", "light"):
        left.script("window.olafTheme.choice = arguments[0]", chosen)
        for selector in (".text", ".meta time", ".from .name", "#subtitle", ".day h2", "#title"):
            ratio = left.script_async(CONTRAST, selector)
            assert ratio >= 4.5, f"{selector} has a contrast of {ratio} in the {chosen} theme"
    assert left.script_async(ALL_COLOURS) >= 4.5
    left.script("window.olafTheme.choice = 'system'")


CONTRAST = """
const {contrast} = await import('/colour.js')
const element = document.querySelector(arguments_[0])
const hex = (colour) => '#' + colour.match(/[\\d.]+/g).slice(0, 3)
  .map((value) => Math.round(value).toString(16).padStart(2, '0')).join('')
let under = element
while (/, 0\\)$|transparent/.test(getComputedStyle(under).backgroundColor)) under = under.parentElement
return contrast(hex(getComputedStyle(element).color), hex(getComputedStyle(under).backgroundColor))
"""

# The lowest contrast of any of many feeds' colours on any surface that a name may stand on.
ALL_COLOURS = """
const {contrast, coloursOf, SURFACES} = await import('/colour.js')
let lowest = 100
for (let count = 0; count < 1500; count++) {
  const bytes = crypto.getRandomValues(new Uint8Array(32))
  const key = [...bytes].map((byte) => byte.toString(16).padStart(2, '0')).join('')
  const colours = coloursOf(key)
  for (const theme of ['light', 'dark']) {
    for (const surface of SURFACES[theme]) {
      lowest = Math.min(lowest, contrast(colours[theme], surface))
    }
  }
}
// What is computed with is what the style sheet says.
for (const theme of ['light', 'dark']) {
  document.documentElement.dataset.theme = theme
  const style = getComputedStyle(document.documentElement)
  for (const name of ['--ground', '--surface', '--own', '--hover', '--found']) {
    if (!SURFACES[theme].includes(style.getPropertyValue(name).trim())) throw new Error(name)
  }
}
return lowest
"""


def test_the_keyboard_alone_is_enough(folder, left, right):
    ana, bea = pair(folder)
    bea.wait(lambda event: event["event"] == "authorized")
    left.open_room(ana)
    left.until(lambda: left.focused() in ("text", "Write a message"))
    left.one("#text").send_keys("first line", Keys.SHIFT + Keys.ENTER + Keys.NULL, "second line")
    left.keys(Keys.ENTER)
    left.until_message("first line\nsecond line")
    assert left.script("return document.getElementById('text').value") == ""
    # What arrives is told in the live region.
    bea.say("do you hear me?")
    left.until(lambda: "bea: do you hear me?" in left.text("#live"), "the live region")
    left.script("document.activeElement.blur()")
    order = []
    for _ in range(30):
        left.keys(Keys.TAB)
        name = left.focused()
        if order and name == order[0]:
            break
        order.append(name)
    for name in ("Skip to writing", "Search", "Share this room", "More", "Messages"):
        assert name in order, f"{name} is not reached: {order}"
    assert order.index("Search") < order.index("Messages")
    # A visible ring shows where the focus is.
    left.script("document.getElementById('open-share').focus()")
    left.keys(Keys.ENTER)
    left.until(lambda: left.script("return document.getElementById('share').open"))
    assert left.script("return document.getElementById('share').contains(document.activeElement)")
    left.keys(Keys.ESCAPE)
    left.until(lambda: left.focused() == "Share this room", "the focus to come back")
    assert left.script(
        "return getComputedStyle(document.activeElement).outlineStyle") == "solid"
    left.keys("?")
    left.until(lambda: left.script("return document.getElementById('keys').open"))
    left.shot("keys")
    left.keys(Keys.ESCAPE)
    # Every control has a name, every field a label.
    nameless = left.script(
        "return [...document.querySelectorAll('button, input, textarea, a[href]')]"
        ".filter((one) => one.checkVisibility() && !(one.getAttribute('aria-label') "
        "|| one.textContent.trim() || one.labels?.length)).map((one) => one.outerHTML)")
    assert nameless == [], nameless


def test_a_window_of_320_pixels_is_enough(folder, left, right):
    ana, bea = pair(folder, options=["--authorize", "ask"])
    left.size(320, 640, is_phone=True)
    left.open_room(ana)

    def fits(what):
        width = left.script(
            "return Math.max(document.documentElement.scrollWidth,"
            "...[...document.querySelectorAll('.bar, .history, .composer, .strips, dialog[open],"
            " .panel:not([hidden])')].map((one) => one.getBoundingClientRect().right))")
        assert width <= 320, f"{what} needs {width} pixels"
        inner = left.script(
            "const it = document.getElementById('history'); return it.scrollWidth - it.clientWidth")
        assert inner <= 0, f"{what} scrolls sideways by {inner}"
        left.shot(f"narrow-{what}")

    left.until(lambda: left.all("#strips .request"))
    fits("request")
    left.click_button("Accept", "#strips")
    bea.wait(lambda event: event["event"] == "authorized")
    bea.say("a long word: " + "Donaudampfschifffahrt" * 8, "and https://example.com/" + "a" * 200)
    bea.say("`" + "x = " * 40 + "`", "```let " + "aVeryLongName" * 12 + " = 1```", "short")
    left.until_message("short")
    left.write("mine is short, or at least not so very long, so that it takes a few lines")
    left.until(lambda: left.text("#text") == "")
    fits("room")
    left.click("#open-people")
    left.until(lambda: left.one("#people").is_displayed())
    fits("people")
    left.click("#people [aria-label='Close people']")
    left.click("#open-search")
    left.keys("word")
    left.until(lambda: left.all("#search .result"))
    fits("search")
    left.click("#search .result")
    left.until(lambda: not left.one("#search").is_displayed())
    left.click("#open-share")
    left.until(lambda: left.script("return document.getElementById('share').open"))
    fits("share")
    left.keys(Keys.ESCAPE)
    left.click("#open-menu")
    fits("menu")
    small = left.script(
        "return [...document.querySelectorAll('.bar button, .composer button')]"
        ".filter((one) => one.checkVisibility()).map((one) => one.getBoundingClientRect())"
        ".filter((box) => box.width < 40 || box.height < 40).length")
    assert small == 0, "Buttons are too small for a finger"


def test_the_history_is_exported(folder, left, right):
    ana = Peer(folder / "ana", "ana", listen=False)
    ana.say(*[f"entry {number}" for number in range(120)])
    ana.wait_message("entry 119", 60)
    left.open_room(ana)
    for form, check in (("jsonl", '"message":"entry 7"'), ("text", "  entry 7")):
        text = left.script_async(
            "const {getBlob} = await import('/api.js');"
            "return (await getBlob(`rooms/${arguments_[0]}/export?format=${arguments_[1]}`)).text()",
            ana.key, form)
        assert check in text, text[:300]
        assert text.count("entry") == 120
