"""The rooms of a folder, served by `dat rooms`: made, joined, read, muted, and there the next time."""

from peers import Peer, Rooms
from selenium.webdriver.common.keys import Keys


def item(browser, key):
    return f"#start .room-item[data-room='{key}']"


def test_rooms_are_made_joined_and_counted(folder, left, right):
    ana = Peer(folder / "ana", "ana")
    ana.say("welcome to my room")
    ana.wait_message("welcome to my room")
    dan = Rooms(folder / "dan", "dan", connect=[ana.address])
    left.open(dan.url)
    left.until(lambda: left.all("#start #key"))
    assert not left.all("#start .room-item")
    left.shot("no-rooms")

    # Joined by link: what is there comes, and one may write.
    left.one("#key").send_keys("dat://" + ana.key, Keys.ENTER)
    left.until_message("welcome to my room")
    left.until(lambda: "Waiting" not in left.text("#strips"))
    left.write("thank you")
    ana.wait_message("thank you")

    # Made here, and joined by somebody else.
    left.click("#back")
    left.until(lambda: left.one("#start").is_displayed())
    left.click_button("Make a new room", "#start")
    left.until(lambda: "A quiet room" in left.text("#empty"))
    left.write("first words")
    left.until_message("first words")
    left.click("#open-share")
    key = left.until(lambda: left.script(
        "return document.getElementById('share-link').value")).removeprefix("dat://")
    left.keys(Keys.ESCAPE)
    bea = Peer(folder / "bea", "bea", key=key, connect=[dan.address])
    right.open_room(bea)
    right.until_message("first words")

    # The list tells what happened elsewhere.
    left.click("#back")
    left.until(lambda: len(left.all("#start .room-item")) == 2)
    right.until(lambda: "Waiting" not in right.text("#strips"))
    right.write("are you there?")
    right.write("it is bea")
    left.until(lambda: left.text(item(left, key) + " .count") == "2")
    assert "it is bea" in left.text(item(left, key))
    assert not left.all(item(left, ana.key) + " .count")
    assert left.script("return document.title").startswith("(2)")
    left.shot("rooms-unread")
    left.system_theme("dark")
    left.shot("rooms-unread-dark")
    left.system_theme("light")

    # Read and muted here; the next run knows.
    left.click(item(left, key))
    left.until_message("it is bea")
    left.until(lambda: left.script("return document.activeElement.id") == "text")
    ana.say("while you read elsewhere")
    left.click(f"#people .person[data-key='{bea.local}']")
    left.click_button("Mute here", "#person")
    left.until(lambda: left.all("#messages .message.muted"))
    left.click("#back")
    left.until(lambda: left.text(item(left, ana.key) + " .count") == "1")
    assert dan.leave() == 0
    dan = Rooms(folder / "dan", "dan", connect=[ana.address])
    left.open(dan.url)
    left.until(lambda: len(left.all("#start .room-item")) == 2)
    assert left.text(item(left, ana.key) + " .count") == "1"
    assert not left.all(item(left, key) + " .count")
    left.click(item(left, key))
    left.until(lambda: left.all("#messages .message.muted"))
