"""Without a system bus, or with one that hangs, a daemon is seen and steered over its own socket."""

import concurrent.futures
import contextlib
import fcntl
import json
import os
import re
import signal
import stat
import struct
import subprocess
import threading
import time

import pytest

from bus import ADMIN, STRANGER, Bus
from doors import command_door, ipset_door
from hosts import wait_until
from lab import ADMIN_GROUP, Lab
from peers import ERROR, RETURN, SOCKET, Impostor, Peer, call, padded, string

DOORS = ipset_door(timeout="60s") + ipset_door("web", "7100, 8100", timeout="60s")
RUNTIME = "/run/knocktail"
ABSENT = 3


@pytest.fixture(scope="module")
def lab(possible):
    """A laboratory with users, and a bus (as `.bus`) that nobody has started."""
    with Lab() as made:
        made.bus = Bus(made)
        yield made


@pytest.fixture(autouse=True)
def nothing_left(lab):
    """The doors that one test has left open are nothing to the next one."""
    yield
    lab.server.run("rm", "-rf", RUNTIME, f"{RUNTIME}-state")


@pytest.fixture
def daemon(start):
    """A daemon where the verbs look for it."""
    return start(DOORS, runtime=RUNTIME)


@pytest.fixture
def hung_bus(lab):
    """A bus that takes connections and answers nobody."""
    lab.bus.start()
    lab.bus.signal(signal.SIGSTOP)
    yield
    lab.bus.signal(signal.SIGCONT)
    lab.bus.stop()


def ask(lab, verb, *arguments):
    """What a verb prints with -o json."""
    done = lab.knocktail(verb, *arguments, "-o", "json")
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def own_memory(daemon):
    """In kB. Not what it maps: how much of the journal that is depends on what others log."""
    with open(f"/proc/{daemon.pid}/status", encoding="ascii") as file:
        return int(re.search(r"RssAnon:\s*(\d+) kB", file.read()).group(1))


def check_all_verbs(lab, daemon, client):
    """A door is opened by a knock and by hand, is listed, and closed; the rest works as well."""
    assert not ask(lab, "list")
    client.knock(7000, 8000, 9000)
    client.wait_open()
    assert [(row["door"], row["source"]) for row in ask(lab, "list")] == [("ssh", client.v4)]
    assert ask(lab, "close", "ssh")["closed"] == 1
    assert not client.can_connect()
    assert ask(lab, "open", "ssh", client.v4)["source"] == client.v4
    assert client.can_connect()
    daemon.wait_message("opened", SOURCE=client.v4, KNOCK="hand", UID="0")
    assert [row["user"] for row in ask(lab, "list")] == ["#0"]
    assert ask(lab, "close", "ssh", client.v4)["closed"] == 1
    daemon.wait_message("closed", SOURCE=client.v4, UID="0")
    assert ask(lab, "reload") == {"reloaded": True}
    assert ask(lab, "list", "--doors") == ["ssh", "web"]
    assert ask(lab, "status")["stats"]["reloads"] == 1
    assert "knocktail_up 1" in lab.knocktail("metrics").stdout


def test_all_verbs(daemon, client, lab):
    check_all_verbs(lab, daemon, client)


def test_a_bus_that_hangs(hung_bus, daemon, client, lab):
    """Nobody waits for it."""
    begun = time.monotonic()
    check_all_verbs(lab, daemon, client)
    assert time.monotonic() - begun < 10
    assert daemon.stop() == 0


@contextlib.contextmanager
def lines_of(lab, config):
    """A watch; a function that returns those of its lines that contain a text."""
    output = lab.file(f"watch-{next(lab.numbers)}.txt")
    with open(lab.server.path(output), "wb") as file:
        process = lab.server.spawn([lab.cli_path, "watch", "-c", config], stdout=file,
                                   stderr=file)
    try:
        yield lambda text: [line for line in lab.read(output).splitlines() if text in line]
    finally:
        os.kill(process.pid, signal.SIGINT)
    assert process.wait(5) == 0


def check_watch(lab, daemon, start, client):
    """What happens is told, and that the daemon goes and comes."""
    with lines_of(lab, daemon.config) as lines:
        wait_until(lambda: lines("daemon up"), 5, "it has found the daemon")
        client.knock(7000, 8000, 9000)
        wait_until(lambda: lines("\topened\t" + client.v4), 3, "the door opens")
        lab.knocktail("close", "ssh")
        wait_until(lambda: lines("\tclosed\t" + client.v4), 3, "the door closes")
        assert daemon.stop() == 0
        wait_until(lambda: lines("daemon down"), 5, "the daemon's end is seen")
        start(DOORS, runtime=RUNTIME)
        wait_until(lambda: len(lines("daemon up")) == 2, 5, "the next one is seen")
        lab.knocktail("open", "ssh", client.v4)
        wait_until(lambda: len(lines("\topened\t")) == 2, 3, "it is heard, too")


def test_watch(daemon, start, client, lab):
    check_watch(lab, daemon, start, client)


def test_watch_with_a_bus_that_hangs(hung_bus, daemon, start, client, lab):
    check_watch(lab, daemon, start, client)


def test_a_watch_that_was_there_before_the_daemon(hung_bus, start, client, lab):
    """While it waits for the bus, it looks for the socket."""
    with lines_of(lab, lab.config(DOORS)) as lines:
        wait_until(lambda: client.knock(7000) and lines("ssh 1/3"), 5, "it watches", 0.1)
        start(DOORS, runtime=RUNTIME)
        wait_until(lambda: lines("daemon up"), 5, "it has found the daemon")


def test_who_is_let_in(daemon, client, lab):
    """Root and the group knocktail-admin, whose numbers go with what they do."""
    made = os.stat(lab.server.path(SOCKET))
    assert (stat.S_IMODE(made.st_mode), made.st_gid) == (0o660, ADMIN_GROUP)
    for verb in (("open", "ssh", client.v4), ("list",), ("reload",), ("close", "ssh")):
        done = lab.bus.run_as(ADMIN, lab.cli_path, *verb)
        assert done.returncode == 0, (verb, done.stderr)
    daemon.wait_message("opened", SOURCE=client.v4, UID="64101")
    assert f"user 64101 opens door ssh for {client.v4}" in daemon.stderr()


@pytest.mark.parametrize("mode", [0o660, 0o666], ids=["by the mode", "by the daemon"])
def test_a_stranger_is_not_let_in(mode, daemon, client, lab):
    os.chmod(lab.server.path(SOCKET), mode)
    for user in (STRANGER, "knocktail"):
        if mode == 0o660 and user == "knocktail":
            continue        # whose socket it is
        for verb in (("open", "ssh", client.v4), ("close", "ssh"), ("reload",), ("list",),
                     ("status",)):
            done = lab.bus.run_as(user, lab.cli_path, *verb)
            assert done.returncode == 1, (user, verb, done)
            assert f"cannot reach knocktaild ({SOCKET}: " in done.stderr, done
            if mode == 0o660:
                assert "Permission denied" in done.stderr and "knocktail-admin" in done.stderr
    assert ask(lab, "status")["stats"]["opened"] == 0
    assert daemon.running()


def test_a_daemon_without_the_group(start, lab):
    """As in a container where nobody has made it: the socket is for root alone."""
    text = lab.read("/etc/group").replace("knocktail-admin", "somebody-else")
    lab.server.run("mount", "--bind", lab.file("other-group", text), "/etc/group")
    try:
        daemon = start(DOORS, runtime=RUNTIME)
    finally:
        lab.server.run("umount", "/etc/group")
    assert stat.S_IMODE(os.stat(lab.server.path(SOCKET)).st_mode) == 0o700
    assert ask(lab, "status")["running"]
    assert lab.bus.run_as(ADMIN, lab.cli_path, "status").returncode == 1
    assert daemon.stop() == 0


def test_a_stop_takes_the_socket_away(daemon, start, lab):
    assert daemon.stop() == 0
    assert not os.path.exists(lab.server.path(SOCKET))
    for verb in (("status",), ("list",), ("open", "ssh", "198.51.100.1"), ("reload",)):
        done = lab.knocktail(*verb)
        assert done.returncode == ABSENT, done
        for word in ("knocktaild does not run", f"{SOCKET}: No such file",
                     "the system bus: No such file", "systemctl start knocktaild"):
            assert word in done.stderr, done


def test_a_kill_leaves_a_socket_that_bothers_nobody(daemon, start, lab):
    daemon.kill()
    assert os.path.exists(lab.server.path(SOCKET))
    done = lab.knocktail("status")
    assert done.returncode == ABSENT and f"{SOCKET}: Connection refused" in done.stderr
    start(DOORS, runtime=RUNTIME)
    assert ask(lab, "status")["running"]


def test_neither_a_daemon_nor_a_bus_that_answers(hung_bus, lab):
    done = lab.knocktail("status", timeout=15)
    assert done.returncode == 1, done
    assert f"cannot reach knocktaild ({SOCKET}: No such file" in done.stderr, done
    assert "the system bus: Connection timed out" in done.stderr, done


def test_a_daemon_that_hangs(daemon, lab):
    """A verb gives up within seconds."""
    daemon.signal(signal.SIGSTOP)
    try:
        done = lab.knocktail("status", timeout=15)
    finally:
        daemon.signal(signal.SIGCONT)
    assert done.returncode == 1 and f"does not answer on {SOCKET}" in done.stderr, done


ASKING = (("list",), ("list", "-o", "json"), ("list", "--doors"), ("status",), ("status", "-o", "json"),
          ("open", "ssh", "192.0.2.9"), ("close", "ssh"), ("metrics",))


@pytest.mark.parametrize("signature, body", [
    ("d", bytes(8)), ("as", struct.pack("<I", 0)), ("", b""),
    ("a(ss)", struct.pack("<II", 14, 0) + string("x") + string("y")[:6]),
    ("v", b"\x01u\0\0" + bytes(4)),
], ids=["number", "texts", "nothing", "rows", "variant"])
def test_answers_that_are_not_the_daemons(signature, body, lab):
    fields = [(8, b"g", signature)] if signature else []
    for words in ASKING:
        with Impostor(lab, RETURN, fields, body):
            done = lab.knocktail(*words)
        assert done.returncode == 1 and "cannot understand knocktaild's answer" in done.stderr, done


@pytest.mark.parametrize("name, text, status, said", [
    ("org.knocktail.Error.X", "no\x1b[31m\n", 1, "no?[31m?\n"),
    ("org.knocktail.Error.X", None, 1, ""),
    ("org.freedesktop.DBus.Error.AccessDenied", "x", 1, "permission denied: this is for root"),
    ("org.freedesktop.DBus.Error.ServiceUnknown", "x", ABSENT, "does not run"),
    ("org.freedesktop.DBus.Error.NameHasNoOwner", "x", ABSENT, "does not run"),
])
def test_errors_that_it_answers_with(name, text, status, said, lab):
    """They cannot steer the terminal."""
    fields = [(4, b"s", name)] + ([(8, b"g", "s")] if text is not None else [])
    body = string(text) if text is not None else b""
    for words in (*ASKING, ("reload",)):
        with Impostor(lab, ERROR, fields, body[:4 + len(text or "") + 1]):
            done = lab.knocktail(*words)
        # Of a daemon that is not there metrics says just that.
        wanted = 0 if words == ("metrics",) and status == ABSENT else status
        assert done.returncode == wanted and said in done.stderr and "\x1b" not in done.stderr, done


def test_a_place_where_no_socket_can_be(start, client, lab):
    """Its name would be too long. The doors do not need one."""
    daemon = start(DOORS, runtime="/run/" + "x" * 100)
    assert "cannot listen on" in daemon.stderr() and "File name too long" in daemon.stderr()
    client.knock(7000, 8000, 9000)
    client.wait_open()


def test_another_client(daemon, client, lab, needs):
    """As the manual page has it."""
    needs("dbus-send")
    lab.knocktail("open", "ssh", client.v4)
    for user in ("root", ADMIN):
        done = lab.bus.run_as(user, "dbus-send", f"--peer=unix:path={SOCKET}", "--print-reply",
                              "/org/knocktail", "org.knocktail.Manager1.List")
        assert f'string "{client.v4}"' in done.stdout, done


def test_a_peer_that_says_nothing(daemon, lab):
    """It is not waited for; one that has said hello may stay."""
    begun = time.monotonic()
    with Peer(lab) as quiet, Peer(lab, hello=False) as mute, Peer(lab, hello=False) as slow:
        slow.send(b"\0AUTH")
        for peer in (mute, slow):
            assert peer.answer() == b""
        assert 3 < time.monotonic() - begun < 9
        quiet.send(call("List"))
        assert quiet.answer()


@pytest.mark.parametrize("ahead, is_refused", [(0, False), (300, False), (500, True), (10**15, True)])
def test_knocks_of_a_time_to_come_are_not_used_up(ahead, is_refused, daemon, lab):
    """Whoever says that one far ahead was used elsewhere would have used up all until then."""
    then = int(time.time()) + ahead
    for door, step, nonce, when in (("ssh", then // 30, "", 0),
                                    ("", 0, "12" * 12, min(then, 2**32 - 1))):
        body = padded(string("ab" * 16) + string(door), 8) + struct.pack("<Q", step)
        body += string(nonce) + struct.pack("<I", when)
        with Peer(lab) as peer:
            peer.send(call("Burn", "sstsu", body, interface="org.knocktail.Fleet1"))
            said = peer.answer()
        assert (b"nobody can have used it yet" in said) == is_refused, said


def test_a_peer_that_asks_at_once(daemon, lab):
    """A call that comes with the end of the hello, in one go, is answered."""
    for _ in range(20):
        with Peer(lab, behind=call("Stats")) as peer:
            assert b"since_us" in peer.answer()


# Makes so many connections, says how many of them live, and waits.
CROWD = """
import socket, sys
crowd = []
for _ in range(int(sys.argv[1])):
    peer = socket.socket(socket.AF_UNIX)
    peer.settimeout(5)
    peer.connect(sys.argv[2])
    try:
        peer.sendall(b"\\0AUTH EXTERNAL\\r\\nDATA\\r\\nBEGIN\\r\\n")
        if peer.recv(4) == b"DATA":
            crowd.append(peer)
    except (BrokenPipeError, ConnectionResetError):
        pass
print(len(crowd), flush=True)
sys.stdin.read()
"""


@contextlib.contextmanager
def crowd(lab, user, size):
    """A crowd of connections of a user; how many of them live."""
    with lab.bus.popen_as(user, "/usr/bin/python3", "-c", CROWD, str(size), SOCKET,
                          stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        yield int(process.stdout.readline())
        process.stdin.close()


def test_there_is_room_for_so_many_and_the_last_places_are_roots(daemon, client, lab):
    with crowd(lab, ADMIN, 100) as alive:
        assert alive == 48
        assert lab.bus.run_as(ADMIN, lab.cli_path, "status").returncode == 1
        assert ask(lab, "status")["running"]
        with crowd(lab, "root", 30) as more:
            assert more == 16
            assert lab.knocktail("status").returncode == 1
            client.knock(7000, 8000, 9000)
            client.wait_open()
    wait_until(lambda: lab.bus.run_as(ADMIN, lab.cli_path, "status").returncode == 0, 5,
               "there is room again")


def test_a_peer_that_asks_and_takes_no_answer(daemon, client, lab):
    """It is not answered for long, and the daemon keeps next to nothing for it."""
    before = own_memory(daemon)
    with Peer(lab) as peer, pytest.raises((BrokenPipeError, ConnectionResetError)):
        for _ in range(20000):
            peer.send(call("Stats") * 10)
    assert own_memory(daemon) - before < 2000
    client.knock(7000, 8000, 9000)
    client.wait_open()
    assert ask(lab, "status")["running"]


@pytest.mark.parametrize("hello", [True, False], ids=["a message", "the hello"])
def test_a_peer_with_a_lot_to_say(hello, daemon, client, lab):
    """Nobody who asks has a megabyte to send: the daemon does not make room for it."""
    before = own_memory(daemon)
    with Peer(lab, hello=hello) as peer, pytest.raises((BrokenPipeError, ConnectionResetError)):
        peer.send(call("Stats", size=100_000_000) if hello else b"\0AUTH\r\n")
        for _ in range(50):
            peer.send(b"x" * 1_000_000)
    assert own_memory(daemon) - before < 1000
    assert ask(lab, "status")["running"]


def test_peers_that_flood(daemon, client, lab):
    """Knocks come before questions."""
    over = threading.Event()

    def flood():
        with Peer(lab) as peer:
            while not over.is_set():
                peer.send(call("Stats"))
                assert peer.answer()
        return True

    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        peers = [pool.submit(flood) for _ in range(4)]
        try:
            client.knock(7000, 8000, 9000)
            client.wait_open()
            assert ask(lab, "close", "ssh")["closed"] == 1
        finally:
            over.set()
        assert all(peer.result(20) for peer in peers)


def test_a_peer_that_takes_no_signals(daemon, client, lab):
    """It is let go before it costs much; who takes them stays."""
    openings = call("Open", "ssu", string("ssh") + string(client.v4) + b"\0\0\0\0")
    before = own_memory(daemon)
    with Peer(lab) as deaf, Peer(lab) as asking:
        for _ in range(3000):
            asking.send(openings)
            assert asking.answer(), "who takes them is let go"
            if deaf.ended():
                break
        assert deaf.ended() and not asking.ended()
        assert own_memory(daemon) - before < 2000
    # Of each renewal it is sent two.
    assert ask(lab, "status")["stats"]["renewed"] > 250


def test_who_hangs_up_takes_their_questions_along(start, client, lab):
    """There is room for 64 calls that wait for an answer."""
    gate = lab.file("gate")
    start(command_door(start_command=f"/usr/bin/flock --shared {gate} /bin/true",
                       stop_command="/bin/true", timeout="60s"), runtime=RUNTIME)
    with open(lab.server.path(gate), encoding="ascii") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        for _ in range(3):
            with Peer(lab) as peer:
                for number in range(60):
                    peer.send(call("Open", "ssu", string("web") + string(f"198.51.100.{number}")
                                   + b"\0\0\0\0"))
                peer.send(call("Stats"))
                assert b"too many" not in peer.answer()
    assert ask(lab, "status")["running"]
