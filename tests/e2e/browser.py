"""Chromium without a screen, driven over a pipe (the DevTools protocol), and looked at."""

import base64
import contextlib
import fcntl
import json
import os
import select
import shutil
import subprocess
import tempfile
import time

from hosts import ENVIRONMENT, wait_until

CHROMIUM = shutil.which("chromium")

# Width, height, pixels a dot, whether fingers touch it.
PHONE = (390, 844, 2, True)
DESK = (1280, 800, 1, False)


class Browser:
    """One Chromium with one page, in somebody's network, with a profile of its own that is thrown
    away."""

    def __init__(self, host=None, *options):
        self._profile = tempfile.mkdtemp(prefix="kt-browser-")
        argv = [CHROMIUM, "--headless=new", "--no-sandbox", "--disable-gpu", "--no-first-run",
                "--disable-dev-shm-usage", "--disable-background-networking",
                "--disable-component-update", "--disable-sync", "--disable-extensions",
                "--no-default-browser-check", "--no-proxy-server", "--remote-debugging-pipe",
                f"--user-data-dir={self._profile}", *options, "about:blank"]
        # The browser reads from 3 and writes to 4.
        to_browser, self._to = os.pipe()
        self._from, from_browser = os.pipe()

        def hand_over():
            ends = [fcntl.fcntl(fd, fcntl.F_DUPFD, 10) for fd in (to_browser, from_browser)]
            os.dup2(ends[0], 3)
            os.dup2(ends[1], 4)

        self._log = open(os.path.join(self._profile, "log"), "w+b")
        self._process = (host.popen if host else subprocess.Popen)(
            argv, stdin=subprocess.DEVNULL, stdout=self._log, stderr=self._log,
            preexec_fn=hand_over, pass_fds=(3, 4),
            env={**ENVIRONMENT, "HOME": self._profile, "LANG": "en_US.UTF-8"})
        os.close(to_browser)
        os.close(from_browser)
        self._buffer = b""
        self._number = 0
        self._session = None
        self.events = []
        try:
            target = next(one for one in self._call("Target.getTargets", 30)["targetInfos"]
                          if one["type"] == "page")
            self._session = self._call("Target.attachToTarget", targetId=target["targetId"],
                                       flatten=True)["sessionId"]
            self.call("Page.enable")
            self.call("Network.enable")
            self.call("Log.enable")
            self.call("Runtime.enable")
        except BaseException:
            self.close()
            raise

    def close(self):
        """Ends it."""
        if self._process.poll() is None:
            with contextlib.suppress(AssertionError, OSError):
                self._session = None
                self._call("Browser.close", 5)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(5)
        if self._process.poll() is None:
            self._process.kill()
            self._process.wait(5)
        for fd in (self._to, self._from):
            with contextlib.suppress(OSError):
                os.close(fd)
        self._log.close()
        shutil.rmtree(self._profile, ignore_errors=True)

    def __enter__(self):
        return self

    def __exit__(self, error, *_):
        if error:
            with contextlib.suppress(Exception):
                print("the page:", self.text("body"))
                print("failed:", [one["errorText"] for one in self.said("Network.loadingFailed")])
        self.close()

    def _receive(self, end):
        """The next message; None: there is none until then."""
        while b"\0" not in self._buffer:
            left = end - time.monotonic()
            if left <= 0 or not select.select([self._from], [], [], left)[0]:
                return None
            data = os.read(self._from, 1 << 16)
            if not data:
                self._log.seek(0)
                raise AssertionError(f"the browser is gone: {self._log.read()[-2000:]!r}")
            self._buffer += data
        message, self._buffer = self._buffer.split(b"\0", 1)
        return json.loads(message)

    def _call(self, method, timeout=20, **parameters):
        self._number += 1
        request = {"id": self._number, "method": method, "params": parameters}
        if self._session:
            request["sessionId"] = self._session
        os.write(self._to, json.dumps(request).encode() + b"\0")
        end = time.monotonic() + timeout
        while (message := self._receive(end)) is not None:
            if message.get("id") != self._number:
                self.events.append(message)
                continue
            if "error" in message:
                raise AssertionError(f"{method}: {message['error']}")
            return message["result"]
        raise AssertionError(f"{method}: no answer in {timeout} s")

    def call(self, method, **parameters):
        """One call of the DevTools protocol."""
        return self._call(method, **parameters)

    def listen(self, seconds=0.05):
        """Takes what the browser has to say by itself."""
        end = time.monotonic() + seconds
        while (message := self._receive(end)) is not None:
            self.events.append(message)

    def said(self, method):
        """The parameters of all events of a kind so far."""
        self.listen()
        return [one["params"] for one in self.events if one.get("method") == method]

    def before_each_page(self, script):
        """Runs it ahead of the scripts of each page that is opened from now on."""
        self.call("Page.addScriptToEvaluateOnNewDocument", source=script)

    def open(self, url, timeout=20):
        """Opens a page and waits until it is there."""
        result = self.call("Page.navigate", url=str(url))
        assert not result.get("errorText"), f"{url}: {result['errorText']}"
        # Until then it is the page before that would be looked at.
        wait_until(lambda: any(said["frame"]["loaderId"] == result["loaderId"]
                               for said in self.said("Page.frameNavigated")), timeout, f"{url} is opened", 0)
        self.wait("document.readyState === 'complete'", timeout)

    def evaluate(self, expression, timeout=30):
        """What an expression is worth, when that is known."""
        result = self._call("Runtime.evaluate", timeout, expression=expression, awaitPromise=True,
                            returnByValue=True, userGesture=True)
        if "exceptionDetails" in result:
            raise AssertionError(f"{expression}: {result['exceptionDetails']}")
        return result["result"].get("value")

    def wait(self, expression, timeout=10):
        """Waits until an expression is true, and returns what it is then."""
        end = time.monotonic() + timeout
        while not (value := self.evaluate(expression)):
            if time.monotonic() > end:
                raise AssertionError(f"waited {timeout} s in vain for {expression}; the page says "
                                     f"{self.evaluate('document.body.innerText')!r}")
            self.listen(0.02)
        return value

    def text(self, selector):
        """What an element shows."""
        return self.evaluate(f"document.querySelector({json.dumps(selector)}).innerText")

    def click(self, selector):
        """Presses an element as a hand does: something else on top of it would be pressed."""
        place = self.evaluate(f"""(() => {{
            const element = document.querySelector({json.dumps(selector)});
            element.scrollIntoView({{block: "nearest"}});
            const box = element.getBoundingClientRect();
            return [box.x + box.width / 2, box.y + box.height / 2]; }})()""")
        for kind in ("mousePressed", "mouseReleased"):
            self.call("Input.dispatchMouseEvent", type=kind, x=place[0], y=place[1],
                      button="left", clickCount=1)

    def type(self, text):
        """Types into what has the focus."""
        self.call("Input.insertText", text=text)

    def press(self, key, code):
        """Presses a key."""
        for kind in ("keyDown", "keyUp"):
            self.call("Input.dispatchKeyEvent", type=kind, key=key, code=key,
                      windowsVirtualKeyCode=code, text="\r" if key == "Enter" else "")

    def look_like(self, size, scheme="light"):
        """The size of the screen, and whether its user likes it dark."""
        width, height, dots, touched = size
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=height,
                  deviceScaleFactor=dots, mobile=touched)
        self.call("Emulation.setEmulatedMedia",
                  features=[{"name": "prefers-color-scheme", "value": scheme}])

    def picture(self, path):
        """A picture of what it shows."""
        data = self.call("Page.captureScreenshot", format="png")["data"]
        with open(path, "wb") as file:
            file.write(base64.b64decode(data))
