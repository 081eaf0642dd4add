"""A page that knocks: a real browser in a client's network, the real page, the real firewall."""

import base64
import contextlib
import json
import os
import re
import shutil
import stat
import subprocess
import time

import pytest

import oracle
from browser import CHROMIUM, DESK, PHONE, Browser
from doors import ipset_door
from firefox import FIREFOX, Firefox
from hosts import wait_until
from lab import DAEMON_UID, ROOT, program
from terminal import converse

PASSPHRASE = "correct horse battery stäple"
PARTS = os.path.join(ROOT, "src", "cli", "page")
NODE = shutil.which("node") or shutil.which("nodejs")
VECTORS = os.path.join(ROOT, "tests", "vectors", "knocks")

needs_chromium = pytest.mark.skipif(not CHROMIUM, reason="chromium is not installed")
needs_firefox = pytest.mark.skipif(not FIREFOX, reason="firefox is not installed")
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
        return converse(self.lab.server, [program("knocktail"), verb, "-c", self.daemon.config, *words],
                        *answers)

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


def knock(browser, door, page):
    """Opens a page that nothing seals, and presses its button."""
    browser.open(page.as_uri())
    browser.wait("!document.getElementById('doors').hidden")
    await_a_step(door)
    browser.click(".door")


def requests(browser):
    """Whatever the browser was asked for but the page itself."""
    return [one["request"]["url"] for one in browser.said("Network.requestWillBeSent")
            if not one["request"]["url"].startswith("file:")]


def await_a_step(door, shift=0):
    """A step that lasts a while, and in which browsers refuse none of the ports, by a clock that is so
    many seconds ahead."""
    refused = set(map(int, re.findall(r"\d+", re.search(r"BLOCKED_PORTS = \[([^]]*)\]",
                                                        part("token.js")).group(1))))

    def is_good():
        now = time.time() + shift
        return now % oracle.STEP_SECONDS < oracle.STEP_SECONDS - 3 and not any(
            refused & set(oracle.token_ports(door.key, "ssh", now, family=family))
            for family in (4, 6))
    wait_until(is_good, 3 * oracle.STEP_SECONDS, "a step that a browser can knock in", 0.1)


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
        await_a_step(door)
        browser.click(".door")
        client.wait_open(22, version, timeout=5)
        browser.wait("document.getElementById('state').className === 'good'")
        assert browser.text("#spoken").startswith("Sent: open for about 5 s")
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
        assert browser.evaluate("document.activeElement.getAttribute('aria-invalid')") == "true"
        assert requests(browser) == []
        browser.type(PASSPHRASE)    # in the place of the wrong one, which is selected
        browser.press("Enter", 13)
        browser.wait("!document.getElementById('doors').hidden", 30)
        assert browser.evaluate("document.activeElement.className") == "door"
        await_a_step(door)
        browser.press("Enter", 13)  # no mouse is needed
        client.wait_open(22, 4, timeout=5)


@needs_chromium
def test_one_packet_in_five_is_lost(guarded, client, loss):
    door = guarded()
    page = door.page("--host", "192.0.2.1", "--no-passphrase", answers=())
    with Browser(client) as browser:
        browser.open(page.as_uri())
        browser.wait("!document.getElementById('doors').hidden")
        assert "not sealed" in browser.text("#notices")
        await_a_step(door)
        browser.click(".door")
        client.wait_open(22, 4, timeout=8)
    assert not door.daemon.messages("refused", SOURCE=client.v4)


# What a browser does with all that is under way when the network changes: here with two copies.
CHANGE = """{
    const real = fetch;
    let n = 0;
    window.fetch = (...all) => ++n <= 16 ? Promise.reject(new TypeError("changed")) : real(...all);
}"""


@needs_chromium
def test_a_network_that_changes_is_no_firewall(guarded, client):
    door = guarded()
    page = door.page("--host", "192.0.2.1", "--no-passphrase", answers=())
    with Browser(client) as browser:
        browser.before_each_page(CHANGE)
        knock(browser, door, page)
        client.wait_open(22, 4, timeout=5)
        browser.wait("/^Sent/.test(document.getElementById('headline').innerText)")


@needs_chromium
def test_a_firewall_that_rejects_has_seen_the_knock(guarded, client, lab):
    door = guarded()
    page = door.page("--host", "192.0.2.1", "--no-passphrase", answers=())
    reject = "INPUT", "-p", "tcp", "-j", "REJECT", "--reject-with", "tcp-reset"
    lab.server.run("iptables", "-A", *reject)
    try:
        with Browser(client) as browser:
            knock(browser, door, page)
            client.wait_open(22, 4, timeout=5)
            browser.wait("document.getElementById('headline').innerText === 'Turned down at once'")
    finally:
        lab.server.run("iptables", "-D", *reject)


@needs_firefox
@pytest.mark.parametrize("host, version", [("192.0.2.1", 4), ("2001:db8::1", 6)])
def test_firefox_gets_in(host, version, guarded, client):
    door = guarded()
    page = door.page("--host", host)
    with Firefox(client) as browser:
        browser.open(page.as_uri())
        browser.type("#passphrase", PASSPHRASE)
        browser.click("#unlock")
        browser.wait("!document.getElementById('doors').hidden")
        assert not client.can_connect(22, version)
        await_a_step(door)
        browser.click(".door")
        client.wait_open(22, version, timeout=5)
        browser.wait("document.getElementById('state').className === 'good'")
    assert len(door.daemon.messages("opened", SOURCE=client.address(version))) == 1
    assert not door.daemon.messages("refused", SOURCE=client.address(version))


SHIFT = "{const now = Date.now; Date.now = () => now() + %d * 1000;}"

# Serves a page to whoever asks for anything; the server's own time goes with it. Who has it already is
# told so, and nothing else.
SERVE = """
import http.server, sys, time
class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def do_GET(self):
        self.close_connection = True
        if self.headers["If-None-Match"]:
            self.send_response(304)
            self.end_headers()
            return
        data = open(sys.argv[1], "rb").read()
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.send_header("Server-Timing", f"now;desc={time.time():.3f}")
        self.send_header("ETag", '"page"')
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)
    def log_message(self, *_):
        pass
server = http.server.HTTPServer(("127.0.0.1", 8000), Handler)
print("ready", flush=True)
server.serve_forever()
"""


@contextlib.contextmanager
def served(client, page):
    """A web server with the page, which is the client's own."""
    server = client.popen(["/usr/bin/python3", "-c", SERVE, page], stdout=subprocess.PIPE)
    try:
        assert server.stdout.readline() == b"ready\n"
        yield "http://127.0.0.1:8000/"
    finally:
        server.kill()
        server.wait(5)
        server.stdout.close()


@needs_chromium
@pytest.mark.parametrize("shift, said", [(-7400, "2 h behind"), (7400, "2 h ahead")])
def test_a_clock_that_is_off(shift, said, guarded, client):
    door = guarded()
    page = door.page("--host", "192.0.2.1", "--no-passphrase", answers=())
    with served(client, page) as url:
        with Browser(client) as browser:
            browser.before_each_page(SHIFT % shift)
            # From a file the clock can be seen only if it is behind the page.
            browser.open(page.as_uri())
            browser.wait("!document.getElementById('doors').hidden")
            assert ("at least 2 h behind" in browser.text("#notices")) == (shift < 0)
            await_a_step(door, shift)
            browser.click(".door")
            browser.wait("/^Sent/.test(document.getElementById('headline').innerText)")
            assert not client.can_connect(22, 4, timeout=1)
            # What the server says is gone by.
            browser.open(url)
            browser.wait("!document.getElementById('doors').hidden")
            assert said in browser.text("#notices")
            await_a_step(door)
            browser.click(".door")
            client.wait_open(22, 4, timeout=5)
            asked = {url.split("/")[2].split(":")[0] for url in requests(browser)}
            assert asked == {"127.0.0.1", "192.0.2.1"}
            assert not [url for url in requests(browser) if "127.0.0.1" in url][1:], "no icon"


@needs_chromium
def test_a_page_from_a_cache_knows_no_time(guarded, client):
    """What the server said with it is long ago."""
    door = guarded()
    page = door.page("--host", "192.0.2.1", "--no-passphrase", answers=())
    with served(client, page) as url, Browser(client) as browser:
        browser.open(url)
        browser.wait("!document.getElementById('doors').hidden")
        browser.before_each_page(SHIFT % 7400)
        browser.open(url)
        browser.wait("!document.getElementById('doors').hidden")
        said = browser.evaluate("performance.getEntriesByType('navigation')[0].serverTiming[0].name")
        assert said == "now" and "ahead" not in browser.text("#notices")
        assert browser.evaluate("clockOffset") == 0


# A device that has slept: its clock is ahead of the time that the page has run.
SLEEPER = "{const now = Date.now; window.slept = 0; Date.now = () => now() + window.slept * 1000;}"


@needs_chromium
def test_the_door_is_shut_after_a_sleep(guarded, client):
    door = guarded(ipset_door("ssh", sequence=None, seq_timeout=None, auth="token", users="alice",
                              timeout="10min"))
    with Browser(client) as browser:
        browser.before_each_page(SLEEPER)
        browser.open(door.page("--host", "192.0.2.1", "--no-passphrase", answers=()).as_uri())
        browser.wait("!document.getElementById('doors').hidden")
        await_a_step(door)
        browser.click(".door")
        browser.wait("/^Sent: open for about (600|59.) s/.test(document.getElementById('headline').innerText)")
        browser.evaluate("slept = 300")
        browser.wait("/^Sent: open for about (300|29.) s/.test(document.getElementById('headline').innerText)")
        browser.evaluate("slept = 601")
        browser.wait("document.getElementById('headline').innerText === 'The door is shut again'")
        # A clock that is set back keeps no door open, either.
        browser.evaluate("gone = startWatch(); slept = -600")
        assert browser.evaluate("gone()") >= 0


# A clock that goes on when it is told to.
STANDING = "window.seconds = %d; Date.now = () => seconds * 1000;"


@needs_chromium
def test_a_knock_that_was_slept_through_is_not_sent(guarded, client):
    door = guarded()
    now = time.time()
    with Browser(client) as browser:
        browser.before_each_page(STANDING % now)
        browser.open(door.page("--host", "192.0.2.1", "--no-passphrase", answers=()).as_uri())
        browser.wait("!document.getElementById('doors').hidden")
        browser.evaluate(f"BLOCKED_PORTS.push({oracle.token_ports(door.key, 'ssh', now)[3]})")
        browser.click(".door")
        browser.wait("/^Waiting [0-9]+ s$/.test(document.getElementById('headline').innerText)")
        browser.evaluate("seconds += 120")
        browser.wait("document.getElementById('headline').innerText === 'Too late'")
        assert requests(browser) == []


@needs_chromium
def test_ports_that_browsers_refuse_are_waited_out(guarded, client):
    door = guarded()
    page = door.page("--host", "192.0.2.1", "--no-passphrase", answers=())
    with Browser(client) as browser:
        browser.open(page.as_uri())
        browser.wait("!document.getElementById('doors').hidden")
        # Those of the standard, of which this browser leaves out two.
        browser.evaluate("Promise.all(BLOCKED_PORTS.map((port) => hit('192.0.2.1', port, 500)))")
        asked = {one["requestId"]: one["request"]["url"]
                 for one in browser.said("Network.requestWillBeSent")}
        passed = {asked[one["requestId"]] for one in browser.said("Network.loadingFailed")
                  if one["errorText"] != "net::ERR_UNSAFE_PORT"}
        assert passed <= {f"https://192.0.2.1:{port}/" for port in (4190, 6679)}
        # One of this step's is made one of them.
        left = oracle.STEP_SECONDS - time.time() % oracle.STEP_SECONDS
        if left > 12:
            time.sleep(left - 12)
        elif left < 6:
            time.sleep(left + oracle.STEP_SECONDS - 12)
        ports = oracle.token_ports(door.key, "ssh", time.time())
        browser.evaluate(f"BLOCKED_PORTS.push({ports[3]})")
        browser.click(".door")
        browser.wait("/^Waiting [0-9]+ s$/.test(document.getElementById('headline').innerText)")
        assert "browsers refuse" in browser.text("#detail")
        assert not client.can_connect(22, 4)
        client.wait_open(22, 4, timeout=18)
        assert not {f"https://192.0.2.1:{port}/" for port in ports} & set(requests(browser))


@needs_chromium
def test_the_key_is_forgotten_when_the_page_is_not_shown(guarded, client):
    door = guarded()
    with Browser(client) as browser:
        browser.open(door.page("--host", "192.0.2.1").as_uri())
        unlock(browser)
        # Neither the page nor anybody in it can read what it knocks with.
        assert browser.evaluate("base.extractable") is False
        browser.evaluate("""Object.defineProperty(document, 'hidden', {value: true});
                            document.dispatchEvent(new Event('visibilitychange'))""")
        assert browser.evaluate("base === null && document.getElementById('doors').hidden &&"
                                "document.getElementById('passphrase').value === ''")
        assert not browser.evaluate("document.getElementById('lock').hidden")


KEY_LINE = re.compile(r'(?<=content=")knocktail2-[^"]*')


@needs_chromium
def test_an_expired_key_is_told_once(guarded, client):
    door = guarded()
    page = door.page("--host", "192.0.2.1", "--no-passphrase", answers=())
    text = base64.b64encode(f"{oracle.key_line(bytes(32))}expires 2024-02-29\n".encode()).decode()
    page.write_text(KEY_LINE.sub(f"knocktail2-open {text}", page.read_text("utf-8")), "utf-8")
    with Browser(client) as browser:
        browser.open(page.as_uri())
        browser.wait("document.getElementById('notices').innerText.includes('expired on 2024-02-29')")
        for _ in range(3):
            browser.evaluate("document.dispatchEvent(new Event('visibilitychange'))")
            browser.evaluate("sleep(50)")
        assert browser.text("#notices").count("expired") == 1
        assert browser.evaluate("document.getElementById('doors').hidden")


# A line as core/sealed/line.h has it, from what a browser has.
SEAL = """
(async () => {
    const salt = crypto.getRandomValues(new Uint8Array(16)), iv = crypto.getRandomValues(new Uint8Array(12));
    const secret = await crypto.subtle.importKey("raw", utf8.encode(%s), "PBKDF2", false, ["deriveKey"]);
    const key = await crypto.subtle.deriveKey({name: "PBKDF2", hash: "SHA-256", salt, iterations: 1000}, secret,
        {name: "AES-GCM", length: 256}, false, ["encrypt"]);
    const box = new Uint8Array(await crypto.subtle.encrypt({name: "AES-GCM", iv}, key, utf8.encode(%s)));
    return "knocktail2-sealed 1000 " + [salt, iv, box].map((bytes) => btoa(String.fromCharCode(...bytes))).join(" ");
})()
"""


@needs_chromium
def test_what_is_damaged_is_not_taken_for_a_wrong_passphrase(guarded, client):
    door = guarded()
    page = door.page("--host", "192.0.2.1")
    good = oracle.key_line(bytes(32))
    with Browser(client) as browser:
        browser.open(page.as_uri())
        sealed = browser.evaluate(SEAL % (json.dumps(PASSPHRASE), json.dumps(good)))
        words = sealed.split()
        for line, problem in (
                (sealed, ""),
                (browser.evaluate(SEAL % ('"another"', json.dumps(good))), "not the passphrase"),
                (browser.evaluate(SEAL % (json.dumps(PASSPHRASE), json.dumps(good[1:]))), "damaged"),
                (browser.evaluate(SEAL % (json.dumps(PASSPHRASE), json.dumps(f"{good}expires ever\n"))),
                 "damaged"),
                (" ".join([words[0], "1e3", *words[2:]]), "damaged"),
                (" ".join([*words[:2], words[2][4:], *words[3:]]), "damaged"),
                (" ".join([*words[:3], words[3][4:], words[4]]), "damaged")):
            page.write_text(KEY_LINE.sub(line, page.read_text("utf-8")), "utf-8")
            browser.open(page.as_uri())
            unlock(browser)
            said = browser.text("#lock-problem")
            assert problem in said and bool(problem) == bool(said), (line, said)


@needs_chromium
def test_a_browser_of_2021_is_enough(guarded, client):
    """Safari's of that year has none of these."""
    door = guarded()
    with Browser(client) as browser:
        browser.before_each_page("delete Object.hasOwn; delete DataView.prototype.setBigUint64;"
                                 "delete Array.prototype.at;")
        browser.open(door.page("--host", "192.0.2.1").as_uri())
        unlock(browser)
        await_a_step(door)
        browser.click(".door")
        client.wait_open(22, 4, timeout=5)
        assert not browser.said("Runtime.exceptionThrown")


@needs_chromium
def test_the_policy_lets_nothing_else_out(guarded, client):
    door = guarded()
    with Browser(client) as browser:
        browser.open(door.page("--host", "192.0.2.1").as_uri())
        for attempt in ("fetch('https://198.51.100.254/')", "fetch('http://192.0.2.1:8000/')",
                        "new WebSocket('wss://192.0.2.1:8000/')",
                        "navigator.sendBeacon('https://198.51.100.254/')",
                        "new Image().src = 'https://192.0.2.1:8000/'",
                        "document.body.append(Object.assign(document.createElement('script'),"
                        "{textContent: 'window.evil = 1'}))",
                        "document.body.insertAdjacentHTML('beforeend',"
                        "'<p onclick=\"window.evil = 1\">x</p>'),"
                        "document.body.lastChild.click()"):
            browser.evaluate(f"(async () => {{ try {{ await ({attempt}); }} catch {{}} }})()")
        assert browser.evaluate("window.evil === undefined")
        browser.listen(0.3)
        went = {one["requestId"] for one in browser.said("Network.requestWillBeSent")
                if not one["request"]["url"].startswith("file:")}
        stopped = {one["requestId"] for one in browser.said("Network.loadingFailed")
                   if one.get("blockedReason") == "csp"}
        assert went == stopped


# What it looks like

def pictures():
    """Where pictures are left that somebody wants to look at."""
    return os.environ.get("KNOCKTAIL_PICTURES")


@needs_chromium
def test_it_fits_every_screen(guarded, client, tmp_path):
    doors = (ipset_door("ssh", sequence=None, seq_timeout=None, auth="token", users="alice",
                        timeout="30s", ports="22/tcp") +
             ipset_door("web", sequence=None, seq_timeout=None, auth="token", users="alice",
                        timeout="1h", ports="443/tcp, 8080/tcp"))
    door = guarded(doors)
    where = pictures() or tmp_path
    with Browser(client, "--host-resolver-rules=MAP gw.example.org 192.0.2.1") as browser:
        page = door.page("--host", "gw.example.org")
        for name, size, scheme in (("phone", PHONE, "light"), ("phone-dark", PHONE, "dark"),
                                   ("desk", DESK, "light"), ("small", (320, 568, 2, True), "light")):
            browser.look_like(size, scheme)
            browser.open(page.as_uri())
            browser.picture(os.path.join(where, f"{name}-1.png"))
            unlock(browser)
            browser.picture(os.path.join(where, f"{name}-2.png"))
            await_a_step(door)
            browser.click(".door")
            browser.wait("document.getElementById('state').className === 'good'")
            browser.picture(os.path.join(where, f"{name}-3.png"))
            # Nothing is wider than the screen, and what is pressed is as large as a finger.
            assert browser.evaluate("document.documentElement.scrollWidth") <= size[0]
            assert browser.evaluate("""[...document.querySelectorAll('button, a')]
                .filter((one) => one.offsetParent).every((one) => one.offsetHeight >= 44)""")
            # Each control has a name for who does not see it, and the state is spoken.
            tree = browser.call("Accessibility.getFullAXTree")["nodes"]
            named = [(one["role"]["value"], one["name"]["value"]) for one in tree
                     if one.get("role", {}).get("value") in ("button", "link", "textbox")]
            assert named and all(name for _, name in named)
            assert browser.text("#spoken").startswith("Sent: open for about")


# What the page computes, and each browser's cryptography

COMPUTE = """
async function knockPorts(one) {
    return tokenPorts(await keyBase(fromBase64(one.key), one.realm), one.door, Number(one.fam),
        Math.floor(Number(one.time) / STEP_SECONDS));
}
const bytesOf = (hex) => Uint8Array.from(hex.match(/../g) ?? [], (digits) => parseInt(digits, 16));
const hexOf = (bytes) => [...new Uint8Array(bytes)].map((one) => one.toString(16).padStart(2, "0")).join("");
const aesKey = (hex, use) => crypto.subtle.importKey("raw", bytesOf(hex), "AES-GCM", false, [use]);
/* A key that is not shown: whether it opens what the known one has sealed. */
async function isDerived([passphrase, salt, rounds, hex]) {
    const box = await crypto.subtle.encrypt({name: "AES-GCM", iv: bytesOf("00".repeat(12))},
        await aesKey(hex, "encrypt"), bytesOf("2a"));
    const key = await sealingKey(passphrase, utf8.encode(salt), rounds);
    return hexOf(await crypto.subtle.decrypt({name: "AES-GCM", iv: bytesOf("00".repeat(12))}, key, box)) === "2a";
}
async function gcmOpen([key, iv, box]) {
    return hexOf(await crypto.subtle.decrypt({name: "AES-GCM", iv: bytesOf(iv)}, await aesKey(key, "decrypt"),
        bytesOf(box)));
}
async function compute(given) {
    const all = (list, work) => Promise.all(list.map(work));
    const {realm, bytes, expires} = await unseal(...given.line);
    return JSON.stringify({knocks: await all(given.knocks, knockPorts),
        derived: await all(given.derived, isDerived), gcm: await all(given.gcm, gcmOpen),
        line: [realm, hexOf(bytes), expires]});
}
"""

# RFC 7914, 11.
PBKDF2 = [["passwd", "salt", 1, "55ac046e56e3089fec1691c22544b605f94185216dde0465e68b9d57c20dacbc"],
          ["Password", "NaCl", 80000, "4ddcd8f60b98be21830cee5ef22701f9641a4418d04c0414aeff08876b34ab56"]]
# Test cases 13 to 15 of McGrew and Viega's specification of GCM: key, nonce, box, text.
GCM = [["00" * 32, "00" * 12, "530f8afbc74536b9a963b4f1c4cb738b", ""],
       ["00" * 32, "00" * 12, "cea7403d4d606b6e074ec5d3baf39d18d0d1c8a799996bf0265b98b5d48ab919", "00" * 16],
       ["feffe9928665731c6d6a8f9467308308" * 2, "cafebabefacedbaddecaf888",
        "522dc1f099567d07f47f37a32a84427d643a8cdcbfe5c0c97598a2bd2555d1aa"
        "8cb08e48590dbb3da7b08b1056828838c5f61e6393ba7a0abcc9f662898015ad"
        "b094dac5d93471bdec1a502270e3cc6c",
        "d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a72"
        "1c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657ba637b391aafd255"]]
# tests/unit/test-sealed.c has it, too: the bytes 0 to 31, until 2027.
LINE = ("knocktail2-sealed 600000 AAECAwQFBgcICQoLDA0ODw== EBESExQVFhcYGRob DGURbX1xrhOou6cPOvFwDfnK5mcvNbk"
        "ChsL14Lap9DdFIf3uUTVvlHkBqmo1jHxWo3B5LZ4kcCwgU5oTtysunHhXvUotfD2S11UbSjMTha9hZBFwthwlwmnYFG9lg1E=")


def in_node(argument, _tmp_path, _client):
    """What comes of it in Node."""
    script = f"{part('token.js')}{COMPUTE}compute(JSON.parse(process.argv.at(-1))).then(console.log);"
    done = subprocess.run([NODE, "--input-type=commonjs", "-e", script, "--", json.dumps(argument)],
                          capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def in_browser(browser_of):
    """What comes of it in a page of a browser's."""
    def run(argument, tmp_path, client):
        page = tmp_path / "compute.html"
        page.write_text(f"<!DOCTYPE html><meta charset=utf-8><script>{part('token.js')}{COMPUTE}</script>",
                        encoding="utf-8")
        with browser_of(client) as browser:
            browser.open(page.as_uri())
            return browser.evaluate(f"compute({json.dumps(argument)})")
    return run


@pytest.mark.parametrize("run", [
    pytest.param(in_node, marks=needs_node, id="node"),
    pytest.param(in_browser(Browser), marks=needs_chromium, id="chromium"),
    pytest.param(in_browser(Firefox), marks=needs_firefox, id="firefox")])
def test_it_computes_what_is_known(run, tmp_path, client):
    """The vectors' knocks and the oracle's, and what the page wants of the browser."""
    known = vectors()
    assert len(known) > 5
    asked = [{"key": base64.b64encode(os.urandom(32)).decode(), "realm": realm, "door": door,
              "fam": family, "time": 1770000000 + 977 * i}
             for i, (realm, door, family) in enumerate(
                 (realm, door, family) for realm in ("bar", "0123456789abcdef", "a.b_c-d")
                 for door in ("ssh", "web-2") for family in (4, 6))]
    done = json.loads(run({"knocks": known + asked, "derived": PBKDF2, "gcm": [one[:3] for one in GCM],
                           "line": [LINE, PASSPHRASE]}, tmp_path, client))
    assert done == {
        "knocks": [[int(port) for port in one["ports"].split()] for one in known] +
                  [oracle.token_ports(oracle.base_of(base64.b64decode(one["key"]), one["realm"]),
                                      one["door"], one["time"], family=one["fam"]) for one in asked],
        "derived": [True, True], "gcm": [one[3] for one in GCM],
        "line": ["bar", bytes(range(32)).hex(), 1798761600]}


@needs_node
def test_every_text_of_the_page_is_in_the_table():
    """And another language has the same names as the first."""
    script = part("strings.js").replace('"use strict";', "globalThis.navigator ??= {};") + """
        console.log(JSON.stringify(Object.fromEntries(Object.entries(STRINGS).map(
            ([tag, table]) => [tag, Object.keys(table)]))));"""
    done = subprocess.run([NODE, "-e", "globalThis.navigator ?? Object.defineProperty(globalThis,"
                           "'navigator', {value: {languages: ['en']}});" + script],
                          capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    tables = json.loads(done.stdout)
    used = set(re.findall(r'\bsay\((?:\w+ [^"]*\? )?"(\w+)"', part("page.js")))
    used |= set(re.findall(r'data-text="(\w+)"', part("page.html")))
    assert len(used) > 30
    for tag, names in tables.items():
        assert used <= set(names), tag
        assert set(names) == set(tables["en"]), tag


# On the command line

def test_the_key_is_for_its_owner_alone_and_knocktap_takes_it(guarded, client):
    door = guarded()
    page = door.page("--host", "192.0.2.1")
    assert stat.S_IMODE(os.stat(page).st_mode) == 0o600
    text = page.read_text(encoding="utf-8")
    with open(door.lab.server.path(f"{door.directory}/alice.key"), encoding="ascii") as file:
        assert file.read().split()[2] not in text
    knocktap = [program("knocktap"), "--door", "ssh", "--key", page, client.peer()]
    status, said = converse(client, knocktap, "another one")
    assert (status, "the passphrase is wrong" in said) == (2, True)
    assert PASSPHRASE not in said
    # The sealed line alone will do, which is what --qr shows.
    line = re.search(r'content="(knocktail2-sealed [^"]*)"', text).group(1)
    page.write_text(f"{line}\n", encoding="ascii")
    status, said = converse(client, knocktap, PASSPHRASE)
    assert status == 0, said
    client.wait_open(22, 4, timeout=3)


def test_keygen_makes_key_and_page_or_nothing(guarded):
    door = guarded()
    lab = door.lab
    status, said = door.ask("--page", "/run/lab/both.html", "--host", "gw.example.org", "--door",
                            "ssh", "alice2", verb="keygen")
    assert status == 2 and "the door ssh is not for this user" in said
    os.unlink(lab.server.path(f"{door.directory}/alice.key"))
    words = ("--page", "/run/lab/both.html", "--host", "gw.example.org", "--url",
             "https://gw.example.org/k.html", "alice")
    status, said = door.ask(*words, answers=("one", "another"), verb="keygen")
    assert status == 1 and "the two passphrases differ" in said
    for path, fault in (("/run/lab/none/a.html", "No such file"), ("/run/lab/" + "a" * 256, "too long"),
                        (f"{door.directory}/alice.key", "exists")):
        status, said = door.ask("--page", path, "--host", "gw.example.org", "alice", verb="keygen")
        assert status == 1 and fault in said
    assert os.listdir(lab.server.path(door.directory)) == []
    assert not os.path.exists(lab.server.path("/run/lab/both.html"))
    status, said = door.ask(*words, verb="keygen")
    assert status == 0 and "Where it is served: https://gw.example.org/k.html" in said
    assert "\u2580" in said, "a QR code"
    assert os.listdir(lab.server.path(door.directory)) == ["alice.key"]
    # Once more, and the page is in the way: the key stays as it is.
    before = lab.read(f"{door.directory}/alice.key")
    status, said = door.ask("--rotate", "7d", *words, verb="keygen")
    assert status == 1 and "a file of that name exists, and is not overwritten" in said
    assert lab.read(f"{door.directory}/alice.key") == before


TOKEN = {"sequence": None, "seq_timeout": None, "auth": "token"}
DOORS = (ipset_door("ssh", users="alice", **TOKEN) + ipset_door("old") +
         ipset_door("bound", users="*", bind_source="yes", **TOKEN) +
         ipset_door("spa", users="*", **{**TOKEN, "auth": "spa"}) +
         ipset_door("bobs", users="bob", **TOKEN))


def test_bad_input_writes_nothing(guarded):
    door = guarded(DOORS)
    path = door.lab.server.path("/run/lab/bad.html")
    host = ("--host", "gw.example.org")
    long_name = ".".join(["a" * 63] * 4)
    for words, answers, status, complaint in (
            ((*host, "--door", "old"), (), 2, "the door old takes no tokens"),
            ((*host, "--door", "spa"), (), 2, "the door spa takes no tokens"),
            ((*host, "--door", "bobs"), (), 2, "the door bobs is not for this user"),
            ((*host, "--door", "bound"), (), 2, "the door bound takes bound knocks alone"),
            ((*host, "--door", "shop"), (), 2, "the door shop is not in the configuration"),
            ((*host, "--door", "s<b>"), (), 2, "'s<b>' is not the name of a door"),
            (("--host", "gw.example.org/"), (), 2, "is not the name or address of a host"),
            (("--host", "gw example"), (), 2, "is not the name or address of a host"),
            (("--host", "x';script-src *"), (), 2, "is not the name or address of a host"),
            (("--host", "-gw.example.org"), (), 2, "is not the name or address of a host"),
            (("--host", "my_gw.example.org"), (), 2, "is not the name or address of a host"),
            (("--host", "gw..example.org"), (), 2, "is not the name or address of a host"),
            (("--host", "192.0.2"), (), 2, "is not the name or address of a host"),
            (("--host", "192.0.2.256"), (), 2, "is not the name or address of a host"),
            (("--host", "*.example.org"), (), 2, "is not the name or address of a host"),
            (("--host", ""), (), 2, "is not the name or address of a host"),
            (("--host", long_name), (), 2, "is not the name or address of a host"),
            ((*host, "--url", "http://gw.example.org/"), (), 2, "--url needs an address"),
            (host, ("", ""), 1, "the passphrase is empty"),
            (host, (PASSPHRASE, "other"), 1, "the two passphrases differ"),
            (host, ("a" * 1100, ""), 1, "the passphrase is too long")):
        asked = door.ask(*words, "alice", "/run/lab/bad.html", answers=answers)
        assert asked[0] == status and complaint in asked[1], (words, asked)
        assert not os.path.exists(path)
    # Nobody to ask.
    done = door.lab.server.run("setsid", "-w", program("knocktail"), "page", "-c",
                               door.daemon.config, *host, "alice", "/run/lab/bad.html", check=False)
    assert done.returncode == 1 and "there is no terminal" in done.stderr
    # No such place, no such key.
    status, said = door.ask(*host, "--no-passphrase", "alice", "/run/nowhere/bad.html")
    assert status == 1 and "No such file or directory" in said
    status, said = door.ask(*host, "bob", "/run/lab/bad.html")
    assert status == 1 and "bob.key" in said
    assert not [name for name in os.listdir(door.lab.server.path("/run/lab")) if "bad" in name]
    # All that she can open, and nothing else.
    page = door.page("--no-passphrase", *host, answers=())
    record = json.loads(re.search(r'id="record">(.*)</script>', page.read_text()).group(1))
    assert [one["name"] for one in record["doors"]] == ["ssh"]


def test_a_page_from_a_directory_of_keys(lab):
    """No configuration says which doors there are, and no terminal is asked."""
    keys = f"/run/lab/keys-{next(lab.numbers)}"
    path = f"/run/lab/page-{next(lab.numbers)}.html"
    os.mkdir(lab.server.path(keys), 0o750)
    assert lab.knocktail("keygen", "--keys", keys, "--realm", "gateway", "alice").returncode == 0

    def page(*words, user="alice", file=path, keys=keys):
        return lab.knocktail("page", "--keys", keys, "--host", "gw.example.org", "--no-passphrase", *words,
                             user, file)

    for words, where, status, complaint in (
            ((), {}, 2, "without the configuration a page needs --door NAME"),
            (("--door", "ssh"), {"keys": "/run/nowhere"}, 1, "/run/nowhere/alice.key: No such file"),
            (("--door", "ssh"), {"user": "bob"}, 1, "bob.key: "),
            (("--door", "ssh"), {"file": "/run/lab/" + 4096 * "x"}, 1, "File name too long"),
            (("--door", "ssh"), {"file": "/run/lab/daemon/page.html"}, 1, "No such file or directory")):
        done = page(*words, **where)
        assert done.returncode == status and complaint in done.stderr, (words, where, done)
    assert not os.path.exists(lab.server.path(path))
    done = page("--door", "ssh", "--door", "My_Web", "--url", "https://gw.example.org/k.html", "--qr")
    assert done.returncode == 0 and "\u2588" in done.stdout, done
    assert os.stat(lab.server.path(path)).st_mode & 0o777 == 0o600
    assert '"my_web"' in lab.read(path)
    done = page("--door", "ssh")
    assert done.returncode == 1 and "a file of that name exists" in done.stderr, done

    key = lab.server.path(f"{keys}/alice.key")
    with open(key, encoding="ascii") as file:
        line = file.readline()
    for text, complaint in ((f"{line}since 2020-01-01\nexpires 2020-02-03\n", "it expired on 2020-02-03"),
                            (line[:-8], "alice.key: "), ("", "alice.key: ")):
        with open(key, "w", encoding="ascii") as file:
            file.write(text)
        done = page("--door", "ssh", file="/run/lab/none.html")
        assert done.returncode == 1 and complaint in done.stderr, done
        assert line.split()[-1] not in done.stderr
    assert lab.knocktail("page", "-c", "/no/such/file", "alice", "/run/lab/none.html").returncode == 2
    assert not os.path.exists(lab.server.path("/run/lab/none.html"))
