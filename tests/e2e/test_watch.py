"""`knocktail watch` shows what happens while it happens: in lines, or on a whole terminal."""

import contextlib
import fcntl
import json
import os
import pty
import re
import select
import signal
import struct
import termios

import pytest

from doors import ipset_door
from hosts import wait_until

DOORS = ipset_door(timeout="60s") + ipset_door("web", "7100/udp, 8100/udp", timeout="60s")


@pytest.fixture(scope="module")
def lab(bus_lab):
    """The laboratory with a bus."""
    return bus_lab


@pytest.fixture
def daemon(start, lab):
    """A daemon on the bus."""
    daemon = start(DOORS)
    lab.bus.wait_daemon()
    return daemon


@contextlib.contextmanager
def lines_of(lab, daemon, *options):
    """A watch that prints lines; a function that returns those that contain a text."""
    output = lab.file(f"watch-{next(lab.numbers)}.txt")
    with open(lab.server.path(output), "wb") as file:
        process = lab.server.spawn([lab.cli_path, "watch", "-c", daemon.config, *options],
                                   stdout=file, stderr=file)
    wait_until(lambda: "daemon up" in lab.read(output), 5, "it has found the daemon")
    yield lambda text: [line for line in lab.read(output).splitlines() if text in line]
    os.kill(process.pid, signal.SIGINT)
    assert process.wait(5) == 0


def test_lines(daemon, client, lab):
    with lines_of(lab, daemon) as lines:
        client.knock(7000, 8000)
        wait_until(lambda: lines("ssh 2/3"), 3, "two of three steps")
        client.hit("9000/udp")
        client.knock(7000, 8000, 9000)
        wait_until(lambda: lines("opened"), 3, "the door opens")
        lab.knocktail("close", "ssh", client.v4)
        wait_until(lambda: lines("closed"), 3, "the door closes")
        cells = [line.split("\t")[1:] for line in lines("probe")]
        steps = [["probe", client.v4, f"{port}/tcp", f"ssh {step}/3"]
                 for step, port in ((1, 7000), (2, 8000), (3, 9000))]
        assert cells == [*steps[:2], ["probe", client.v4, "9000/udp"], *steps], cells
        opened, = lines("opened")
        assert opened.split("\t")[2:4] == [client.v4, "ssh"] and "until 20" in opened
        assert re.match(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC\t", opened)


def test_json(daemon, client, lab):
    with lines_of(lab, daemon, "-o", "json") as lines:
        client.knock("7100/udp", "8100/udp", version=6)
        wait_until(lambda: lines('"opened"'), 3, "the door opens")
        told = [json.loads(line) for line in lines("{")]
        probes = [(item["source"], item["port"], item["protocol"], item.get("door"),
                   item.get("step")) for item in told if item["event"] == "probe"]
        assert probes == [(client.v6, 7100, "udp", "web", 1), (client.v6, 8100, "udp", "web", 2)]
        opened, = [item for item in told if item["event"] == "opened"]
        assert (opened["door"], opened["source"], opened["until"][-1]) == ("web", client.v6, "Z")
        assert opened["user"] is None


def test_json_of_what_is_done_by_hand(daemon, client, lab):
    """Between probes that are of no door's knock."""
    lab.knocktail("open", "ssh", "192.0.2.77")
    with lines_of(lab, daemon, "-o", "json") as lines:
        wait_until(lambda: lines('"open"'), 3, "what is open already is told")
        client.hit("9000/udp")
        lab.knocktail("open", "ssh", client.v4)
        lab.knocktail("open", "ssh", client.v4)
        lab.knocktail("close", "ssh")
        wait_until(lambda: len(lines('"closed"')) == 2 and lines("9000"), 3, "all of it is told")
        told = [json.loads(line) for line in lines("{")]
    assert [(item["event"], item["user"]) for item in told if item.get("source") == client.v4
            and item["event"] not in ("probe", "closed")] == [("opened", "#0")] * 2, told
    probe, = (item for item in told if item["event"] == "probe")
    assert (probe["port"], probe["protocol"]) == (9000, "udp") and "door" not in probe


def test_doors_that_are_open_already(daemon, client, lab):
    lab.knocktail("open", "ssh", client.v4)
    with lines_of(lab, daemon) as lines:
        wait_until(lambda: lines("\topen\t" + client.v4), 3, "the open door is told")


def test_a_daemon_that_goes(daemon, start, lab):
    with lines_of(lab, daemon) as lines:
        assert daemon.stop() == 0
        wait_until(lambda: lines("daemon down"), 5, "the daemon's end is seen")
        start(DOORS)
        wait_until(lambda: len(lines("daemon up")) == 2, 10, "the next one is seen")


def test_a_bus_that_goes(daemon, lab):
    with lines_of(lab, daemon) as lines:
        lab.bus.stop()
        try:
            wait_until(lambda: lines("daemon down"), 5, "the bus's end is seen")
        finally:
            lab.bus.start()
        wait_until(lambda: len(lines("daemon up")) == 2, 10, "the next bus is seen")


def test_probes_without_a_bus(daemon, client, lab):
    """The journal is enough for them."""
    output = lab.file("watch-alone.txt")
    lab.bus.stop()
    try:
        with open(lab.server.path(output), "wb") as file:
            process = lab.server.spawn([lab.cli_path, "watch", "-c", daemon.config],
                                       stdout=file, stderr=file)
        wait_until(lambda: client.knock(7000) and "ssh 1/3" in lab.read(output), 5,
                   "the probe is told", 0.1)
        os.kill(process.pid, signal.SIGTERM)
        assert process.wait(5) == 0
    finally:
        lab.bus.start()
    lab.bus.wait_daemon()


class Terminal:
    """A terminal with `watch` on it."""

    def __init__(self, lab, daemon, environment=()):
        self.master, self._slave = pty.openpty()
        self.resize(24, 100)
        self.before = termios.tcgetattr(self._slave)
        self.process = lab.server.spawn(
            ["setsid", "--ctty", "--wait", "env", "TERM=xterm", *environment, lab.cli_path,
             "watch", "-c", daemon.config],
            stdin=self._slave, stdout=self._slave, stderr=self._slave)
        self.text = ""

    def resize(self, rows, columns):
        """Gives it another size, of which it tells."""
        fcntl.ioctl(self.master, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def read(self):
        """Reads what there is."""
        while select.select([self.master], [], [], 0)[0]:
            self.text += os.read(self.master, 65536).decode()
        return self.text

    def frame(self):
        """The last whole picture, as lines."""
        picture = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", self.picture().replace("\r", ""))
        return picture.removesuffix("\n").split("\n")

    def picture(self):
        """The same as it came."""
        return ["", "", *self.read().split("\x1b[H")[1:]][-2]

    def wait(self, pattern, timeout=5):
        """Waits until a line of the picture matches."""
        return wait_until(lambda: [line for line in self.frame() if re.search(pattern, line)],
                          timeout, f"{pattern!r} is on the screen:\n" + "\n".join(self.frame()))

    def type(self, keys):
        """Types."""
        os.write(self.master, keys.encode())

    def restored(self):
        """Whether the terminal is as it was."""
        text = self.read()
        return (text.rstrip().endswith("\x1b[?25h\x1b[?1049l")
                and termios.tcgetattr(self._slave) == self.before)

    def close(self):
        """Hangs up, which ends it."""
        os.close(self._slave)
        os.close(self.master)
        assert self.process.wait(5) in (0, 1)


@pytest.fixture
def terminal(daemon, lab):
    """A terminal that shows doors, knocks and probes."""
    terminal = Terminal(lab, daemon)
    yield terminal
    terminal.close()


def test_a_terminal(terminal, client, other, lab):
    terminal.wait(r"Open doors: 0")
    client.knock(7000, 8000)
    terminal.wait(rf"ssh +2/3 +\S+ ago  {re.escape(client.v4)}")
    terminal.wait(rf"\d\d:\d\d:\d\d +8000/tcp  ssh +2/3  {re.escape(client.v4)}")
    lab.knocktail("open", "ssh", other.v4, "--for", "10s")
    terminal.wait(rf"ssh +([89]|10)s  {re.escape(other.v4)}  #0  #+")
    terminal.wait(rf"ssh +[1-7]s  {re.escape(other.v4)}  #0  #+\.+", timeout=10)
    lab.knocktail("close", "ssh")
    terminal.wait(r"Open doors: 0")
    assert "\x1b[32m" in terminal.text, "colours"


def test_a_narrow_terminal_cuts_the_address(terminal, client, lab):
    """The time left and the steps are what one looks for."""
    terminal.resize(24, 80)
    long = "2001:db8:1234:5678:9abc:def0:1234:5678"
    lab.knocktail("open", "ssh", long, "--for", "60s")
    terminal.wait(rf"ssh +\d+s  {long}")
    client.knock(7000, 8000, version=6)
    terminal.wait(rf"8000/tcp  ssh +2/3  {re.escape(client.address(6))}")
    terminal.resize(24, 30)
    terminal.wait(r"ssh +\d+s  2001:db8")
    terminal.wait(r"8000/tcp  ssh +2/3")
    lab.knocktail("close", "ssh")


def test_a_terminal_of_another_size(terminal, client):
    terminal.wait(r"Open doors: 0")
    client.knock(7000, 8000)
    terminal.wait(r"ssh +2/3")
    for rows, columns in ((10, 30), (3, 12), (1, 1), (60, 200)):
        terminal.resize(rows, columns)
        wait_until(lambda rows=rows: len(terminal.frame()) <= rows, 5, "it is no longer")
        wait_until(lambda columns=columns: max(map(len, terminal.frame())) <= columns, 5,
                   "it is no wider")
        # After a line that fills the row, this would erase the row's last character.
        shown = re.sub(r"\x1b\[[0-9;]*m", "", terminal.picture())
        assert not re.search(r"[^\n]\x1b\[[JK]", shown), shown
    terminal.wait(r"ssh +2/3")


def test_more_doors_than_it_holds(terminal, lab):
    """They are counted right, also when they are renewed, and shown when there is room."""
    each = "for i in $(seq 100 229); do for n in 100 113; do %s; done; done"
    opened = each % f"{lab.cli_path} open ssh 198.51.$n.$i >/dev/null || exit 1"
    for _ in range(2):
        lab.server.run("sh", "-c", opened, timeout=60)
        terminal.wait(r"Open doors: 260$")
    lab.server.run("sh", "-c", each.replace("100 113", "100") %
                   f"{lab.cli_path} close ssh 198.51.$n.$i >/dev/null", timeout=60)
    terminal.wait(r"Open doors: 130$")
    terminal.wait(r"and 12\d more")


@pytest.mark.parametrize("how", ["q", "\x03", "\x1c", "SIGTERM", "SIGHUP"])
def test_the_terminal_is_given_back(how, terminal):
    terminal.wait(r"Open doors: 0")
    if how.startswith("SIG"):
        os.killpg(os.getpgid(terminal.process.pid), getattr(signal, how))
    else:
        terminal.type(how)
    wait_until(lambda: terminal.read() and terminal.process.poll() is not None, 5, "it ends")
    wait_until(terminal.restored, 5, "the terminal is as it was")


def test_a_terminal_whose_keys_go_elsewhere(daemon, client, lab):
    """Another key than q ends nothing, nor does q where standard input is a file."""
    for words, key in ((), "x"), (("sh", "-c", 'exec "$0" "$@" </dev/null'), "q"):
        terminal = Terminal(lab, daemon, words)
        terminal.wait(r"Open doors: 0")
        terminal.type(key)
        lab.knocktail("open", "ssh", client.v4)
        terminal.wait(r"Open doors: 1")
        lab.knocktail("close", "ssh")
        terminal.wait(r"Open doors: 0")
        assert terminal.process.poll() is None
        terminal.close()


def test_a_terminal_that_vanishes(daemon, lab):
    """Without being its controlling terminal, so that there is no SIGHUP."""
    master, slave = pty.openpty()
    process = lab.server.spawn(["env", "TERM=xterm", lab.cli_path, "watch", "-c", daemon.config],
                               stdin=slave, stdout=slave, stderr=slave, start_new_session=True)
    os.close(slave)
    assert select.select([master], [], [], 5)[0]
    os.close(master)
    assert process.wait(5) == 1


def test_no_colours_if_they_are_not_wanted(daemon, lab):
    terminal = Terminal(lab, daemon, ["NO_COLOR=1"])
    terminal.wait(r"Open doors: 0")
    assert "\x1b[1m" not in terminal.read()
    terminal.type("q")
    assert terminal.process.wait(5) == 0
    terminal.close()


def test_a_pipe_that_is_closed(daemon, client, lab):
    done = lab.server.popen(["sh", "-c", f"{lab.cli_path} watch -c {daemon.config} | head -n 1"])
    wait_until(lambda: client.knock(7000) and done.poll() is not None, 10, "it ends", 0.1)


def test_bad_usage(lab):
    for arguments in (("x",), ("-o", "xml"), ("-c", "/no/such/file")):
        assert lab.knocktail("watch", *arguments).returncode == 2, arguments
