"""Tests of the page in a real browser: two peers, two browsers. See `make test-web`.

    python3 Tests/Web/run.py [--readme] [part of a test's name …]

Every state that is looked at is kept as a picture in Artifacts/Web. With --readme those that README
shows are made small and put into Documentation/Images.
"""

import pathlib
import signal
import sys
import tempfile
import time
import traceback

sys.path.insert(0, str(pathlib.Path(__file__).parent))

from selenium.common.exceptions import WebDriverException  # noqa: E402

import cases_long_room  # noqa: E402
import cases_readme  # noqa: E402
import cases_room  # noqa: E402
import cases_rooms  # noqa: E402
import cases_states  # noqa: E402
import cases_strangers  # noqa: E402
from browser import SHOTS, Browser, spread  # noqa: E402
from peers import Program  # noqa: E402


def reset(browser):
    """The browser as it was at the start; another one where it has died."""
    try:
        browser.open("about:blank")
        browser.size(1280, 860)
        browser.system_theme("light")
        return browser
    except WebDriverException:
        browser.quit()
        return Browser()


def make_readme_pictures():
    """Pictures of README from those of the tests: 128 colours are enough for a calm page."""
    from PIL import Image
    folder = SHOTS.parents[1] / "Documentation" / "Images"
    folder.mkdir(parents=True, exist_ok=True)
    for picture in sorted(SHOTS.glob("readme-*.png")):
        name = picture.name.removeprefix("readme-")
        colours = Image.open(picture).convert("RGB").quantize(128, dither=Image.Dither.NONE)
        colours.save(folder / f"chat-{name}", optimize=True)
        print(f"Documentation/Images/chat-{name}: {(folder / f'chat-{name}').stat().st_size // 1024} KB")


def main():
    # Asked to end, it takes its peers and browsers along.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    wanted = [word for word in sys.argv[1:] if word != "--readme"]
    cases = [
        (name, function)
        for module in (cases_room, cases_rooms, cases_states, cases_strangers, cases_readme,
                       # Measures, and so wants a release build: it is run where it is asked for.
                       *([cases_long_room] if wanted else []))
        for name, function in vars(module).items()
        if name.startswith("test_") and (not wanted or any(part in name for part in wanted))
    ]
    passed, failed = 0, 0
    browsers = [Browser(), Browser()]
    try:
        for name, function in cases:
            began = time.monotonic()
            with tempfile.TemporaryDirectory(prefix="dat-web-") as folder:
                try:
                    function(pathlib.Path(folder), *browsers)
                    complaints = [line for browser in browsers for line in browser.complaints()]
                    assert not complaints, f"The browser complains: {spread(complaints)}"
                    passed += 1
                    print(f"ok      {name} ({time.monotonic() - began:.1f} s)", flush=True)
                except Exception:
                    failed += 1
                    print(f"FAILED  {name}\n{traceback.format_exc()}", flush=True)
                    for index, browser in enumerate(browsers):
                        try:
                            browser.shot(f"failed-{name}-{index}")
                            browser.complaints()
                        except Exception as error:
                            print(f"no picture: {error}")
                finally:
                    Program.stop_all()
                    browsers = [reset(browser) for browser in browsers]
    finally:
        Program.stop_all()
        for browser in browsers:
            browser.quit()
    print(f"Screenshots are in {SHOTS.relative_to(pathlib.Path.cwd())}."
          if SHOTS.is_relative_to(pathlib.Path.cwd()) else f"Screenshots are in {SHOTS}.")
    if "--readme" in sys.argv:
        make_readme_pictures()
    print(f"{passed} passed, {failed} failed")
    return 1 if failed or not passed else 0


if __name__ == "__main__":
    sys.exit(main())
