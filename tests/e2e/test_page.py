"""A page that knocks: a real browser in a client's network, the real page, the real firewall."""

import base64
import json
import os
import re
import shutil
import stat
import subprocess
import threading
import time

import pytest

import oracle
from browser import CHROMIUM, DESK, PHONE, Browser
from doors import command_door, ipset_door
from lab import DAEMON_UID, ROOT, program
from terminal import converse

PASSPHRASE = "correct horse battery stäple"
PARTS = os.path.join(ROOT, "src", "cli", "page")
NODE = shutil.which("node") or shutil.which("nodejs")
VECTORS = os.path.join(ROOT, "tests", "vectors", "knocks")

needs_chromium = pytest.mark.skipif(not CHROMIUM, reason="chromium is not installed")
needs_node = pytest.mark.skipif(not NODE, reason="nodejs is not installed")


def part(name):
    """A file of the page's source."""
    with open(os.path.join(PARTS, name), encoding="utf-8") as file:
        return file.read()


def vectors():
    """The tokens that are bound to nothing: fields by their names."""
    with open(VECTORS, encoding="ascii") as file:
        text = re.sub(r"^#.*\n", "", file.read(), flags=re.M)
    blocks = [dict(line.split(" = ", 1) for line in block.splitlines() if line)
              for block in re.split(r"\n\n+", text)]
    return [one for one in blocks if one.get("knock") == "token" and one["source"] == "-"]


class Guarded:
    """A door that alice may open, the daemon behind it, and pages of hers."""

    def __init__(self, lab, start, tmp_path, doors, options=""):
        self.lab = lab
        self.tmp_path = tmp_path
        self.directory = f"/run/lab/keys-{next(lab.numbers)}"
        os.mkdir(lab.server.path(self.directory), 0o750)
        os.chown(lab.server.path(self.directory), 0, DAEMON_UID)
        done = lab.knocktail("keygen", "--keys", self.directory, "--realm", oracle.REALM, "alice")
        assert done.returncode == 0, done.stderr
        self.daemon = start(doors, f"keys = {self.directory}\nrealm = {oracle.REALM}\n{options}")

    @property
    def key(self):
        """What alice's knocks are made of."""
        realm, key = oracle.read_key(self.lab.server.path(f"{self.directory}/alice.key"))
        return oracle.base_of(key, realm)

    def ask(self, *words, answers=(PASSPHRASE, PASSPHRASE), verb="page"):
        """Asks for a page; the exit status, and what was said on the terminal."""
        argv = self.lab.server.command([program("knocktail"), verb, "-c", self.daemon.config, *words])
        return converse(argv, *answers)

    def page(self, *words, **kwargs):
        """A new page, as a file outside of the lab."""
        inside = f"/run/lab/page-{next(self.lab.numbers)}.html"
        status, said = self.ask(*words, "alice", inside, **kwargs)
        assert status == 0, said
        path = self.tmp_path / os.path.basename(inside)
        shutil.copy(self.lab.server.path(inside), path)
        return path


@pytest.fixture
def guarded(lab, start, tmp_path):
    """Makes doors with pages."""
    def make(doors=None, options=""):
        return Guarded(lab, start, tmp_path,
                       doors or ipset_door("ssh", sequence=None, seq_timeout=None, auth="token",
                                           users="alice", timeout="5s", ports="22/tcp"), options)
    return make


def unlock(browser, passphrase=PASSPHRASE):
    """Types the passphrase, as one would on a phone."""
    browser.click("#passphrase")
    browser.type(passphrase)
    browser.press("Enter", 13)
    browser.wait("!document.getElementById('unlock').disabled &&"
                 "(!document.getElementById('doors').hidden ||"
                 " document.getElementById('lock-problem').innerText !== '')", 30)


def requests(browser):
    """Whatever the browser was asked for but the page itself."""
    return [one["request"]["url"] for one in browser.said("Network.requestWillBeSent")
            if not one["request"]["url"].startswith("file:")]


def away_from_the_end_of_a_step():
    """A step in which nothing is blocked, and that lasts a while, is not a matter of luck."""
    left = oracle.STEP_SECONDS - time.time() % oracle.STEP_SECONDS
    if left < 3:
        time.sleep(left + 0.1)


@pytest.fixture
def loss(lab):
    """Drops one packet in five, of what comes in and of what goes out."""
    rules = [("PREROUTING", "-i"), ("OUTPUT", "-o")]
    for chain, way in rules:
        lab.server.run("iptables", "-t", "raw", "-I", chain, way, "eth0", "-m", "statistic",
                       "--mode", "random", "--probability", "0.2", "-j", "DROP")
    yield
    for chain, _ in rules:
        lab.server.run("iptables", "-t", "raw", "-F", chain)


# The whole way

@needs_chromium
@pytest.mark.parametrize("host, version", [("192.0.2.1", 4), ("2001:db8::1", 6),
                                           ("gw.example.org", 4), ("gw.example.org", 6)])
def test_a_phone_gets_in(host, version, guarded, client):
    door = guarded()
    page = door.page("--host", host)
    address = client.peer(version) if version == 4 else f"[{client.peer(version)}]"
    with Browser(client, f"--host-resolver-rules=MAP gw.example.org {address}") as browser:
        browser.look_like(PHONE)
        browser.open(page.as_uri())
        unlock(browser)
        assert requests(browser) == [], "a page that was unlocked has sent nothing"
        assert not client.can_connect(22, version)
        away_from_the_end_of_a_step()
        browser.click(".door")
        client.wait_open(22, version, timeout=5)
        browser.wait("document.getElementById('state').className === 'good'")
        assert re.match(r"Sent: open for about [45] s", browser.text("#headline"))
        url = f"ssh://{'[' + host + ']' if ':' in host else host}"
        assert browser.evaluate("document.querySelector('#ways a').getAttribute('href')") == url
        browser.wait("document.getElementById('headline').innerText === 'The door is shut again'")
        client.wait_closed(22, version)
        browser.wait("performance.now() > 0", 1)
        families = [version] if host != "gw.example.org" else [4, 6]
        ports = {port for family in families
                 for late in (0, oracle.STEP_SECONDS)
                 for port in oracle.token_ports(door.key, "ssh", time.time() - late, family=family)}
        sent = {int(re.fullmatch(r"https://.*:([0-9]+)/", url).group(1))
                for url in requests(browser)}
        assert len(sent) == 8 * len(families) and sent < ports, "nothing but the knock"
        assert not browser.said("Runtime.exceptionThrown")
    assert len(door.daemon.messages("opened", SOURCE=client.address(version))) == 1
    assert not door.daemon.messages("refused", SOURCE=client.address(version))


@needs_chromium
def test_a_wrong_passphrase_sends_nothing(guarded, client):
    door = guarded()
    with Browser(client) as browser:
        browser.open(door.page("--host", "192.0.2.1").as_uri())
        unlock(browser, PASSPHRASE + " ")
        assert browser.text("#lock-problem") == "That is not the passphrase. Nothing was sent."
        assert browser.evaluate("document.activeElement.id") == "passphrase"
        assert requests(browser) == []
        browser.type(PASSPHRASE)    # in the place of the wrong one, which is selected
        browser.press("Enter", 13)
        browser.wait("!document.getElementById('doors').hidden", 30)
        assert browser.evaluate("document.activeElement.className") == "door"
        away_from_the_end_of_a_step()
        browser.press("Enter", 13)  # no mouse is needed
        client.wait_open(22, 4, timeout=5)
