"""Firefox without a screen, driven by its Marionette protocol."""

import contextlib
import json
import os
import shutil
import subprocess
import tempfile
import time

from hosts import ENVIRONMENT, wait_until

FIREFOX = shutil.which("firefox-esr") or shutil.which("firefox")

PREFERENCES = """
user_pref("marionette.port", 2828);
user_pref("browser.shell.checkDefaultBrowser", false);
user_pref("datareporting.policy.dataSubmissionEnabled", false);
user_pref("toolkit.telemetry.server", "");
user_pref("app.update.enabled", false);
user_pref("network.captive-portal-service.enabled", false);
user_pref("network.connectivity-service.enabled", false);
user_pref("browser.aboutwelcome.enabled", false);
"""


class Firefox:
    """One Firefox with one page, in a client's network, with a profile of its own that is thrown
    away."""

    def __init__(self, client):
        self._profile = tempfile.mkdtemp(prefix="kt-firefox-")
        with open(os.path.join(self._profile, "user.js"), "w", encoding="ascii") as file:
            file.write(PREFERENCES)
        self._log = open(os.path.join(self._profile, "log"), "w+b")
        self._process = client.popen(
            [FIREFOX, "--headless", "--marionette", "--no-remote", "--profile", self._profile],
            stdout=self._log, stderr=self._log,
            env={**ENVIRONMENT, "HOME": self._profile, "MOZ_DISABLE_CONTENT_SANDBOX": "1"})
        self._socket = None
        self._number = 0
        self._buffer = b""
        try:
            self._socket = wait_until(lambda: self._connect(client), 90, "Firefox listens", 0.2)
            self._receive()     # its greeting
            self.call("WebDriver:NewSession", capabilities={"alwaysMatch": {}})
            self.call("WebDriver:SetTimeouts", script=60000, pageLoad=60000)
        except BaseException:
            self.close()
            raise

    @staticmethod
    def _connect(client):
        sock = client.socket()
        sock.settimeout(120)
        if sock.connect_ex(("127.0.0.1", 2828)) == 0:
            return sock
        sock.close()
        return None

    def close(self):
        """Ends it."""
        with contextlib.suppress(AssertionError, OSError):
            self.call("Marionette:Quit", flags=["eForceQuit"])
        if self._socket:
            self._socket.close()
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait(5)
        self._log.close()
        shutil.rmtree(self._profile, ignore_errors=True)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def _read(self, size):
        while len(self._buffer) < size:
            data = self._socket.recv(65536)
            assert data, "Firefox is gone"
            self._buffer += data
        taken, self._buffer = self._buffer[:size], self._buffer[size:]
        return taken

    def _receive(self):
        length = b""
        while not length.endswith(b":"):
            length += self._read(1)
        return json.loads(self._read(int(length[:-1])))

    def call(self, command, **parameters):
        """One command of WebDriver, as Marionette has it."""
        assert self._socket, "no connection"
        self._number += 1
        text = json.dumps([0, self._number, command, parameters]).encode()
        self._socket.sendall(str(len(text)).encode() + b":" + text)
        _, _, error, result = self._receive()
        assert error is None, error
        return result

    def open(self, url):
        """Opens a page."""
        self.call("WebDriver:Navigate", url=url)

    def evaluate(self, expression):
        """What an expression is worth."""
        return self.call("WebDriver:ExecuteScript", script=f"return {expression};", args=[])["value"]

    def wait(self, expression, timeout=30):
        """Waits until an expression is true."""
        end = time.monotonic() + timeout
        while not self.evaluate(expression):
            assert time.monotonic() < end, \
                f"{expression}: the page says {self.evaluate('document.body.innerText')!r}"
            time.sleep(0.05)

    def _find(self, selector):
        found = self.call("WebDriver:FindElement", using="css selector", value=selector)["value"]
        return next(iter(found.values()))

    def click(self, selector):
        """Presses an element."""
        self.call("WebDriver:ElementClick", id=self._find(selector))

    def type(self, selector, text):
        """Types into it."""
        self.call("WebDriver:ElementSendKeys", id=self._find(selector), text=text)
