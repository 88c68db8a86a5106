"""What real rooms rarely do: rooms that tests make up (Tests/DatWebFake), seen in the browser."""

import json
import os
import pathlib
import subprocess
import time

from peers import DAT
from selenium.webdriver.common.keys import Keys

FAKE = os.environ.get("DAT_WEB_FAKE", str(pathlib.Path(DAT).with_name("dat-web-fake")))


class Stage:
    """Rooms in memory, by the name of their owner; one JSON command a line."""

    def __enter__(self):
        self.process = subprocess.Popen(
            [FAKE], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1)
        return self

    def __exit__(self, *problem):
        self.process.stdin.close()
        self.process.wait(timeout=30)

    def __call__(self, run, who="ana", **values):
        self.process.stdin.write(json.dumps({"run": run, "who": who, **values}) + "\n")
        self.process.stdin.flush()
        answer = json.loads(self.process.stdout.readline())
        assert answer["ok"], answer
        return answer.get("url")


def test_the_rooms_of_a_folder(folder, left, right):
    with Stage() as stage:
        url = stage("directory", "dan", count=3)
        left.open(url)
        left.until(lambda: len(left.all("#start .room-item")) == 3)
        left.shot("rooms")
        left.click_button("Join", "#start")
        left.until(lambda: "Paste the key" in left.text("#start-problem"))
        left.one("#key").send_keys("dat://nonsense", Keys.ENTER)
        left.until(lambda: "64 hex digits" in left.text("#start-problem"))
        left.shot("rooms-wrong-key")
        left.complaints()
        key = left.script("return document.querySelectorAll('.room-item')[1].dataset.room")
        left.one("#key").clear()
        left.one("#key").send_keys("dat://" + key, Keys.ENTER)
        left.until(lambda: left.one("#room").is_displayed())
        left.click("#back")
        left.until(lambda: left.one("#start").is_displayed())
        left.size(320, 640, is_phone=True)
        assert left.script("return document.documentElement.scrollWidth") <= 320
        left.shot("narrow-rooms")
        left.size(1280, 860)
        left.click_button("Make a new room", "#start")
        left.until(lambda: "A quiet room" in left.text("#empty"))
        left.click("#back")
        left.until(lambda: len(left.all("#start .room-item")) == 4)


def test_a_burst_leaves_what_is_read_in_its_place(folder, left, right):
    watch = """
        const top = document.getElementById('history').getBoundingClientRect().top
        const row = [...document.querySelectorAll('#messages .message')]
          .find((one) => one.getBoundingClientRect().top > top)
        return [row.dataset.key, row.getBoundingClientRect().top]"""
    place = """
        const row = [...document.querySelectorAll('#messages .message')]
          .find((one) => one.dataset.key === arguments[0])
        return row?.getBoundingClientRect().top ?? null"""
    with Stage() as stage:
        left.open(stage("room", "ana", count=1200))
        left.until(lambda: left.messages())
        for _ in range(3):
            left.script("document.getElementById('history').scrollTop = 300")
            time.sleep(0.3)
        key, top = left.script(watch)
        # More than the page is told one by one.
        stage("message", "ana", name="bea", text="burst", count=1500)
        left.until(lambda: "1500 new" in left.text("#jump"), "the count of new messages")
        now = left.script(place, key)
        assert now is not None and abs(now - top) < 2, (top, now)
        left.click("#jump")
        left.until(lambda: left.messages() and left.messages()[-1] == "burst")


def test_a_megabyte_of_one_message_is_cut(folder, left, right):
    with Stage() as stage:
        left.open(stage("room", "ana"))
        stage("message", "ana", name="eve", text="W" * 1_000_000)
        stage("message", "ana", name="N" * 100_000, text="after it")
        left.until_message("after it")
        shown = "return document.querySelector('#messages .message .text').textContent.length"
        assert left.script(shown) <= 4096
        left.click_button("Show more", "#messages")
        left.until(lambda: left.script(shown) == 65_536, "as much as is ever shown")
        assert "more are not shown" in left.text("#messages")
        assert left.script(
            "const view = document.getElementById('history');"
            "return view.scrollWidth - view.clientWidth") <= 0
        assert left.script(
            "return Math.max(...[...document.querySelectorAll('#messages .name')]"
            ".map((one) => one.textContent.length))") <= 40
        left.shot("megabyte")


def test_flags_of_messages_and_what_goes_wrong(folder, left, right):
    with Stage() as stage:
        left.open(stage("room", count=12))
        left.until(lambda: len(left.messages()) == 12)
        stage("message", name="bea", text="this was written twice", isEdited=True)
        stage("message", name="cai", text="this one shares its key", sharesKey=True)
        stage("message", name="eve", text="from the future",
              time=int(time.time() * 1000) + 1_800_000)
        stage("message", name="mallory", text="from tomorrow",
              time=int(time.time() * 1000) + 86_400_000)
        stage("unreadable", name="eve")
        stage("waiting", name="fay", text="the room has as many feeds as it may, 240")
        left.until(lambda: "edited" in left.text("#messages")
                   and "same key" in left.text("#messages")
                   and "clock ahead" in left.text("#messages")
                   and "dated in the future" in left.text("#strips")
                   and "can’t be let in yet" in left.text("#messages")
                   and "can’t be read" in left.text("#messages"))
        left.shot("flags")

        # What is not written stays, and can be tried again or thrown away.
        stage("fail", text="The disk is full.")
        left.write("keep me")
        left.until(lambda: "The disk is full." in left.text(".failed"))
        left.shot("not-written")
        left.complaints()
        left.click_button("Try again", "#messages")
        # Written, not only on its way: else the next failure would be this one's.
        left.until(lambda: not left.all(".failed, .sending"))
        assert left.count_of("keep me") == 1
        stage("fail", text="The disk is full.")
        left.write("throw me away")
        left.until(lambda: "The disk is full." in left.text(".failed"))
        left.click_button("Discard", "#messages")
        left.until(lambda: left.count_of("throw me away") == 0)
        left.complaints()

        # A server that comes back is the same one to the page; nothing is missing or double.
        before = left.messages()
        stage("stop")
        left.until(lambda: "is lost" in left.text("#banner"))
        stage("message", name="bea", text="meanwhile")
        stage("start")
        left.until_message("meanwhile")
        left.until(lambda: left.text("#banner") == "")
        # Times decide, those of clocks that are ahead as well.
        assert sorted(left.messages()) == sorted(before + ["meanwhile"]), left.messages()[-4:]
        assert "from tomorrow" not in left.messages()
        left.complaints()
