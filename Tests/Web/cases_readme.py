"""The pictures of README: a conversation that never was, in rooms that tests make up."""

import time

from cases_states import Stage

TALK = [
    ("bea", "Morning! The hut is ours from Friday to Sunday."),
    ("bea", "Seven beds, one stove, no signal up there."),
    ("cai", "No signal is the best part. Who brings the maps?"),
    ("ana", "I do. The ferry leaves at nine, and the next one not before noon, so let's be early."),
    ("cai", "Nine it is. I put the packing list here: https://example.com/hut/list"),
    ("bea", "Does anybody have `gpx` of the way down? Mine ends at the lake."),
    ("ana", "I have the whole loop, 14 km. Sending it tonight."),
    ("cai", "Perfect. See you on the boat!"),
]


def talk(stage, until=None):
    now = int(time.time() * 1000) if until is None else until
    for place, (name, text) in enumerate(TALK):
        stage("message", name=name, text=text, time=now - (len(TALK) - place) * 170_000)
        if name == "ana":
            stage("sent")


def test_pictures_of_readme(folder, left, right):
    with Stage() as stage:
        left.size(1120, 700)
        left.open(stage("room"))
        for name in ("bea", "cai"):
            stage("join", name=name)
        talk(stage)
        left.until(lambda: len(left.messages()) == len(TALK))
        left.until(lambda: "2 more here" in left.text("#subtitle"))
        left.shot("readme-light")
        left.system_theme("dark")
        left.until(lambda: left.script("return document.documentElement.dataset.theme") == "dark")
        left.shot("readme-dark")
        left.system_theme("light")
        left.size(360, 700, is_phone=True)
        left.until(lambda: left.script("return innerWidth") == 360)
        if left.one("#people").is_displayed():
            left.click("#people [aria-label='Close people']")
        left.click("#jump") if left.one("#jump").is_displayed() else None
        left.shot("readme-narrow")
