"""A browser with the page in it, and what is looked at there."""

import json
import os
import pathlib
import shutil
import time

from selenium import webdriver
from selenium.common.exceptions import (
    JavascriptException, NoSuchElementException, StaleElementReferenceException)
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.chrome.options import Options
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys

ROOT = pathlib.Path(__file__).resolve().parents[2]
SHOTS = ROOT / "Artifacts" / "Web"


def find(*names):
    for name in names:
        path = shutil.which(name)
        if path:
            return path
    raise SystemExit(f"There is no {names[0]}: run Scripts/deps-web.")


class Browser:
    def __init__(self):
        options = Options()
        options.binary_location = os.environ.get("CHROME") or find(
            "chromium", "chromium-browser", "google-chrome")
        for argument in [
            "--headless=new", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run",
            "--disable-background-networking", "--disable-component-update", "--mute-audio",
            "--hide-scrollbars", "--lang=en-GB", "--window-size=1280,860",
            # A name of somebody else that leads to this machine.
            "--host-resolver-rules=MAP *.test 127.0.0.1, EXCLUDE localhost",
        ]:
            options.add_argument(argument)
        if hasattr(os, "geteuid") and os.geteuid() == 0:
            options.add_argument("--no-sandbox")
        options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
        service = Service(os.environ.get("CHROMEDRIVER") or find("chromedriver"))
        self.driver = webdriver.Chrome(options=options, service=service)
        self.driver.set_script_timeout(30)
        self.size(1280, 860)

    def quit(self):
        try:
            self.driver.quit()
        except Exception as error:
            print(f"A browser did not end as it should: {error}")

    # Where it is

    def open(self, url):
        self.driver.get("about:blank")
        self.driver.get(url)

    def open_room(self, peer):
        self.open(peer.url)
        self.until(lambda: self.all("#room:not([hidden])") and self.text("#title") != "")
        self.until(lambda: self.script(
            "return document.getElementById('history').getAttribute('aria-busy') === 'false'"))
        return self

    def size(self, width, height, is_phone=False):
        self.cdp("Emulation.setDeviceMetricsOverride", width=width, height=height,
                 deviceScaleFactor=1, mobile=is_phone)

    def system_theme(self, theme):
        self.cdp("Emulation.setEmulatedMedia",
                 features=[{"name": "prefers-color-scheme", "value": theme}])

    def cdp(self, command, **arguments):
        return self.driver.execute_cdp_cmd(command, arguments)

    def script(self, code, *arguments):
        return self.driver.execute_script(code, *arguments)

    def script_async(self, code, *arguments):
        """Runs the body of an async function and gives what it returns."""
        wrapped = (
            "const done = arguments[arguments.length - 1];"
            f"(async (...arguments_) => {{ {code} }})(...arguments)"
            ".then(done, (error) => done({failure: String(error)}))")
        return self.driver.execute_async_script(wrapped, *arguments)

    # What is there

    def all(self, selector):
        return self.driver.find_elements(By.CSS_SELECTOR, selector)

    def one(self, selector):
        return self.driver.find_element(By.CSS_SELECTOR, selector)

    def text(self, selector):
        return self.script(
            "return document.querySelector(arguments[0])?.textContent.trim() ?? ''", selector)

    def messages(self):
        """The texts of the messages in the page, in order."""
        return self.script(
            "return [...document.querySelectorAll('#messages .message .text')]"
            ".map((element) => element.textContent)")

    def notices(self):
        return self.script(
            "return [...document.querySelectorAll('#messages .notice')]"
            ".map((element) => element.textContent)")

    def count_of(self, text):
        return self.messages().count(text)

    def until(self, condition, what=None, seconds=30):
        """Waits for something to be true and returns it."""
        deadline = time.monotonic() + seconds
        last = None
        while True:
            try:
                value = condition()
                if value:
                    return value
                last = None
            except (JavascriptException, NoSuchElementException,
                    StaleElementReferenceException) as error:
                last = error
            if time.monotonic() > deadline:
                raise AssertionError(
                    f"Waited {seconds} s for {what or 'something'}; {last or ''} "
                    f"messages {self.messages()[-5:]}")
            time.sleep(0.03)

    def until_message(self, text, seconds=30):
        self.until(lambda: text in self.messages(), f"the message {text!r}", seconds)

    # What somebody does

    def click(self, selector):
        self.until(lambda: self.one(selector).is_displayed(), selector)
        self.one(selector).click()

    def click_button(self, words, within="body"):
        def button():
            for element in self.all(f"{within} button"):
                if element.is_displayed() and element.text.strip() == words:
                    return element
            return None
        self.until(button, f"the button {words!r}").click()

    def write(self, text):
        self.one("#text").send_keys(text, Keys.ENTER)

    def keys(self, *keys):
        # To whatever has the focus; it may be drawn anew at any moment.
        ActionChains(self.driver).send_keys(*keys).perform()

    def focused(self):
        return self.script(
            "const it = document.activeElement;"
            "return it.getAttribute('aria-label') || it.id || it.textContent.trim()"
            " || it.tagName")

    # What is kept of it

    def shot(self, name):
        SHOTS.mkdir(parents=True, exist_ok=True)
        # Colours fade in within an eighth of a second.
        time.sleep(0.2)
        self.driver.save_screenshot(str(SHOTS / f"{name}.png"))

    def codes(self):
        """What a camera reads of the window: the texts of the QR codes in it."""
        import io
        import zxingcpp
        from PIL import Image
        picture = Image.open(io.BytesIO(self.driver.get_screenshot_as_png()))
        return [code.text for code in zxingcpp.read_barcodes(picture)]

    def complaints(self):
        """What the browser's console holds against the page since the last call."""
        return [
            entry["message"] for entry in self.driver.get_log("browser")
            if entry["level"] == "SEVERE"
            # That a server which was stopped doesn't answer is no fault of the page.
            and "ERR_CONNECTION_REFUSED" not in entry["message"]
            and "ERR_INCOMPLETE_CHUNKED_ENCODING" not in entry["message"]
            and "ERR_CONNECTION_RESET" not in entry["message"]
            and "ERR_EMPTY_RESPONSE" not in entry["message"]]


def spread(value):
    """A value in one line, for the words of a failure."""
    return json.dumps(value, ensure_ascii=True)[:600]
