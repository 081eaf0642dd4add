"""A running daemon is seen and steered: over the bus, and with the verbs that use it."""

import fcntl
import json
import os
import re
import signal
import subprocess
import time

import pytest

from bus import ADMIN, STRANGER
from doors import command_door, ipset_door
from hosts import NETWORKS, wait_until
from lab import ROOT

ALLOWED = ", ".join((*(f"{network}.0/24" for network in NETWORKS), "2001:db8::/32"))
DOORS = ipset_door(timeout="60s") + ipset_door("web", "7100, 8100", timeout="60s", allow=ALLOWED)
ABSENT = 3


@pytest.fixture(scope="module")
def lab(bus_lab):
    """The laboratory with a bus."""
    return bus_lab


@pytest.fixture
def bus(lab):
    """Its bus."""
    return lab.bus


@pytest.fixture
def daemon(start, bus):
    """A daemon on the bus."""
    daemon = start(DOORS)
    bus.wait_daemon()
    return daemon


def ask(lab, verb, *arguments):
    """What a verb prints with -o json."""
    done = lab.knocktail(verb, *arguments, "-o", "json")
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_status(daemon, client, lab):
    before = ask(lab, "status")
    assert before["running"] and before["stats"]["last_probe"] is None
    assert before["stats"]["doors"] == 2 and before["stats"]["grants"] == 0
    client.knock(7000, 8000, 9000)
    client.wait_open()
    client.knock(7000, 8000, 9000)
    daemon.wait_message("renewed")
    told = ask(lab, "status")["stats"]
    assert told["probes"] >= 6 and told["records"] >= told["probes"]
    assert (told["matches"], told["opened"], told["renewed"], told["grants"]) == (2, 1, 1, 1)
    assert told["sources"] >= 1 and told["last_probe"].endswith("Z")
    lines = dict(line.split("\t") for line in lab.knocktail("status").stdout.splitlines())
    assert lines["open now"] == "1" and lines["right knocks"] == "2"


def test_status_without_a_daemon(lab):
    done = lab.knocktail("status", "-o", "json")
    assert done.returncode == ABSENT
    assert json.loads(done.stdout) == {"running": False}
    assert "does not run" in done.stderr and "systemctl start knocktaild" in done.stderr
    for verb in (("list",), ("open", "ssh", "198.51.100.1"), ("close", "ssh"), ("reload",)):
        assert lab.knocktail(*verb).returncode == ABSENT, verb


def test_status_without_a_bus(lab, bus):
    bus.stop()
    try:
        done = lab.knocktail("status")
        assert done.returncode == ABSENT and "the system bus: No such file" in done.stderr
    finally:
        bus.start()


def test_list(daemon, client, other, lab):
    assert ask(lab, "list") == []
    client.knock(7000, 8000, 9000)
    other.knock(7100, 8100, version=6)
    wait_until(lambda: len(ask(lab, "list")) == 2, 3, "two doors are open")
    told = {(item["door"], item["source"]): item for item in ask(lab, "list")}
    assert set(told) == {("ssh", client.v4), ("web", other.v6)}
    assert 50 < told["ssh", client.v4]["seconds_left"] <= 60
    assert [item["door"] for item in ask(lab, "list", "web")] == ["web"]
    for verb in ("list", "close"):
        done = lab.knocktail(verb, "WEB")
        assert done.returncode == 1 and "no door WEB" in done.stderr
    rows = [line.split("\t") for line in lab.knocktail("list").stdout.splitlines()]
    assert sorted(row[:3] for row in rows) == sorted([["ssh", client.v4, "-"],
                                                      ["web", other.v6, "-"]])
    assert {item["state"] for item in told.values()} == {"open"}
    assert ask(lab, "list", "--doors") == ["ssh", "web"]
    assert lab.knocktail("list", "--doors").stdout == "ssh\nweb\n"


def test_what_nobody_has_opened_is_shown(daemon, client, lab):
    """An element that comes while the daemon runs; what a knock has put there is not one."""
    client.knock(7000, 8000, 9000)
    client.wait_open()
    lab.server.run("ipset", "add", "knock4", "192.0.2.7", "timeout", "600")
    told = lab.knocktail("doctor", "-c", daemon.config).stdout
    assert "192.0.2.7 stands in knock4 for another " in told, told
    assert f"{client.v4} stands in" not in told
    rows = {row["source"]: row for row in ask(lab, "list", "-c", daemon.config)}
    assert {source: row["state"] for source, row in rows.items()} == {
        client.v4: "open", "192.0.2.7": "unrecorded"}
    assert 590 < rows["192.0.2.7"]["seconds_left"] <= 600 and rows["192.0.2.7"]["user"] is None
    lab.server.run("ipset", "del", "knock4", "192.0.2.7")
    told = lab.knocktail("doctor", "-c", daemon.config).stdout
    assert re.search(r"^ok +members ", told, re.M), told


@pytest.mark.parametrize("version", [4, 6], ids=["IPv4", "IPv6"])
def test_open_and_close(version, daemon, client, lab):
    address = client.address(version)
    done = lab.knocktail("open", "ssh", address)
    assert done.returncode == 0, done.stderr
    assert client.can_connect(version=version)
    daemon.wait_message("opened", SOURCE=address, KNOCK="hand", UID="0")
    assert [row["user"] for row in ask(lab, "list") if row["source"] == address] == ["#0"]
    done = lab.knocktail("close", "ssh", address.upper())
    assert (done.returncode, done.stdout) == (0, f"door ssh closed for {address}\n"), done.stderr
    assert not client.can_connect(version=version)
    daemon.wait_message("closed", SOURCE=address, UID="0")
    assert lab.knocktail("close", "ssh", address).stdout == (
        f"door ssh was not open for {address}\n")
    assert ask(lab, "open", "ssh", address.upper())["source"] == address


def test_a_door_that_closes_by_itself_was_closed_by_nobody(daemon, client, lab):
    """Whoever has opened it by hand, or has closed the one before."""
    lab.knocktail("open", "ssh", client.v4)
    lab.knocktail("close", "ssh", client.v4)
    lab.knocktail("open", "ssh", client.v4, "--for", "1s")
    wait_until(lambda: len(daemon.messages("closed", SOURCE=client.v4)) == 2, 4, "it is closed")
    assert ["KNOCKTAIL_UID" in event for event in daemon.events(SOURCE=client.v4)] == [
        True, True, True, False]


def test_a_door_that_the_firewall_has_lost(start, bus, client, lab):
    """It is listed as such, and counted."""
    lab.server.run("ipset", "create", "lost", "hash:ip", "timeout", "0")
    start(ipset_door(set="lost", set_6=None, timeout="60s"))
    bus.wait_daemon()
    assert lab.knocktail("open", "ssh", client.v4).returncode == 0
    lab.server.run("ipset", "destroy", "lost")
    wait_until(lambda: [item["state"] for item in ask(lab, "list")] == ["missing"], 5,
               "it is missing")
    assert ask(lab, "status")["stats"]["missing"] == 1
    lab.server.run("ipset", "create", "lost", "hash:ip", "timeout", "0")
    wait_until(lambda: [item["state"] for item in ask(lab, "list")] == ["open"], 5,
               "it is open again")
    assert ask(lab, "status")["stats"]["restored"] == 1
    assert ask(lab, "close", "ssh")["closed"] == 1
    lab.server.run("ipset", "destroy", "lost")


def test_open_for_a_time(daemon, client, lab):
    assert ask(lab, "open", "ssh", client.v4, "--for", "10min")["until"].endswith("Z")
    assert 590 < lab.members()[client.v4] <= 601
    assert 590 < ask(lab, "list")[0]["seconds_left"] <= 600
    until = ask(lab, "list")[0]["until"]
    assert ask(lab, "open", "ssh", client.v4, "--for", "2s")["until"][:19] == until[:19]
    lab.knocktail("close", "ssh")
    assert ask(lab, "open", "ssh", client.v4, "--for", "2s")["source"] == client.v4
    client.wait_closed(timeout=4)
    wait_until(lambda: ask(lab, "list") == [], 3, "the door is closed")


def test_close_for_all(daemon, client, other, lab):
    for knocker in (client, other):
        knocker.knock(7000, 8000, 9000)
        knocker.wait_open()
    lab.knocktail("open", "web", client.v4)
    assert ask(lab, "close", "ssh")["closed"] == 2
    assert [item["door"] for item in ask(lab, "list")] == ["web"]
    assert lab.knocktail("close", "ssh").stdout == "door ssh was not open\n"


def test_what_cannot_be_opened(daemon, client, lab):
    for arguments, complaint in (
            (("nodoor", client.v4), "no door nodoor"), (("ssh", "nobody"), "not an IP address"),
            (("web", "203.0.113.77"), "not in allow"),
            (("ssh", client.v4, "--for", "100d"), "at most")):
        done = lab.knocktail("open", *arguments)
        assert done.returncode == 1 and complaint in done.stderr, done
    for arguments in ((), ("ssh",), ("ssh", client.v4, "x"), ("ssh", client.v4, "--for", "0"),
                      ("ssh", client.v4, "--for", "1500ms"), ("ssh", client.v4, "--for", "soon")):
        assert lab.knocktail("open", *arguments).returncode == 2, arguments
    assert ask(lab, "list") == []


def test_a_door_whose_command_fails(start, bus, client, lab):
    start(command_door(start_command="/bin/ls /out-of-order",
                       stop_command="/bin/true")
          + command_door("slow", "7200, 8200", start_command="/bin/sleep 0.3",
                         stop_command="/bin/sleep 0.3"))
    bus.wait_daemon()
    done = lab.knocktail("open", "web", client.v4)
    assert done.returncode == 1 and "/out-of-order" in done.stderr
    assert lab.knocktail("open", "slow", client.v4, "--for", "60s").returncode == 0
    assert ask(lab, "close", "slow")["closed"] == 1
    assert ask(lab, "list", "slow") == []


def test_reload(daemon, client, lab):
    with open(lab.server.path(daemon.config), "a", encoding="ascii") as file:
        file.write(ipset_door("third", "7300, 8300"))
    assert ask(lab, "reload") == {"reloaded": True}
    assert ask(lab, "list", "--doors") == ["ssh", "web", "third"]
    with open(lab.server.path(daemon.config), "a", encoding="ascii") as file:
        file.write("nonsense = 1\n")
    done = lab.knocktail("reload")
    assert done.returncode == 1 and "keeping the current configuration" in done.stderr
    told = ask(lab, "status")["stats"]
    assert (told["reloads"], told["failed_reloads"], told["doors"]) == (2, 1, 3)


def test_who_may_steer(daemon, client, bus, lab):
    """The policy, at work: root and the group knocktail-admin change things, everybody looks."""
    knocktail = lab.cli_path
    for user in ("root", ADMIN):
        for verb in (("open", "ssh", client.v4), ("close", "ssh"), ("reload",)):
            done = bus.run_as(user, knocktail, *verb)
            assert done.returncode == 0, (user, verb, done.stderr)
    for user in (STRANGER, "knocktail"):
        for verb in (("open", "ssh", client.v4), ("close", "ssh"), ("reload",)):
            done = bus.run_as(user, knocktail, *verb)
            assert done.returncode == 1 and "permission denied" in done.stderr, (user, verb, done)
        for verb in (("status",), ("list",), ("list", "--doors")):
            assert bus.run_as(user, knocktail, *verb).returncode == 0, (user, verb)
        assert bus.call(user, "Set", "org.knocktail.Manager1", "Version", "<'0'>",
                        interface="org.freedesktop.DBus.Properties").returncode != 0
    assert ask(lab, "status")["stats"]["opened"] == 2
    assert daemon.running()
    log = daemon.stderr()
    assert f"user 64101 opens door ssh for {client.v4}" in log
    assert "user 64102" not in log


@pytest.fixture
def private(bus, lab):
    """The policy of machines with users who must not learn who is let in."""
    with open(os.path.join(ROOT, "dbus", "org.knocktail-listing.conf"), encoding="utf-8") as file:
        path = lab.server.path(lab.file("org.knocktail-listing.conf", file.read()))
    bus.signal(signal.SIGHUP)
    yield
    os.unlink(path)
    bus.signal(signal.SIGHUP)


def test_who_may_list_is_a_matter_of_policy(daemon, client, bus, lab, private):
    """Strangers learn neither from the list nor from signals who is let in."""
    knocktail = lab.cli_path
    wait_until(lambda: bus.run_as(STRANGER, knocktail, "list").returncode != 0, 5,
               "the policy is in force")
    monitors = {user: lab.file(f"monitor-{user}.txt", "") for user in (STRANGER, ADMIN)}
    for user, path in monitors.items():
        os.chmod(lab.server.path(path), 0o666)
        bus.popen_as(user, "sh", "-c", "exec timeout 10 gdbus monitor --system --dest "
                     f"org.knocktail >{path}")
        wait_until(lambda path=path: "is owned by" in lab.read(path), 5, "the monitor listens")
    assert bus.run_as(ADMIN, knocktail, "open", "ssh", client.v4).returncode == 0
    wait_until(lambda: client.v4 in lab.read(monitors[ADMIN]), 5, "administrators hear of it")
    assert client.v4 not in lab.read(monitors[STRANGER])
    for user in (ADMIN, "root"):
        assert client.v4 in bus.run_as(user, knocktail, "list").stdout
    done = bus.run_as(STRANGER, knocktail, "list")
    assert done.returncode == 1 and "permission denied" in done.stderr
    assert bus.run_as(STRANGER, knocktail, "status").returncode == 0


def test_nobody_else_can_be_the_daemon(daemon, bus):
    for user in (ADMIN, STRANGER):
        done = bus.run_as(user, "gdbus", "call", "--system", "--dest", "org.freedesktop.DBus",
                          "--object-path", "/org/freedesktop/DBus", "--method",
                          "org.freedesktop.DBus.RequestName", "org.knocktail", "4")
        assert done.returncode != 0 and "not allowed to own" in done.stderr, done


def test_a_caller_by_the_daemons_own_number(daemon, client, bus):
    """The policy holds for the unique name, too."""
    owner = bus.run_as("root", "gdbus", "call", "--system", "--dest", "org.freedesktop.DBus",
                       "--object-path", "/org/freedesktop/DBus", "--method",
                       "org.freedesktop.DBus.GetNameOwner", "org.knocktail").stdout
    number = re.search(r":[0-9.]+", owner).group(0)
    done = bus.run_as(STRANGER, "gdbus", "call", "--system", "--dest", number, "--object-path",
                      "/org/knocktail", "--method", "org.knocktail.Manager1.Open", "ssh",
                      client.v4, "60")
    assert done.returncode != 0 and "AccessDenied" in done.stderr, done


def test_signals(daemon, client, bus, lab):
    monitor = lab.file("monitor.txt")
    with open(lab.server.path(monitor), "wb") as file:
        process = lab.server.spawn(["gdbus", "monitor", "--system", "--dest", "org.knocktail"],
                                   stdout=file, stderr=file)
    wait_until(lambda: "is owned by" in lab.read(monitor), 5, "the monitor listens")
    lab.knocktail("open", "ssh", client.v4)
    lab.knocktail("close", "ssh", client.v4)
    lab.knocktail("reload")
    wait_until(lambda: "PropertiesChanged" in lab.read(monitor), 5, "all signals have come")
    told = lab.read(monitor)
    process.terminate()
    assert re.search(rf"Manager1\.Opened \('ssh', '{client.v4}', '#0', uint64 \d{{16}}\)", told), told
    assert f"Manager1.Closed ('ssh', '{client.v4}')" in told, told


def test_introspection_and_properties(daemon, bus):
    told = bus.run_as(STRANGER, "gdbus", "introspect", "--system", "--dest", "org.knocktail",
                      "--object-path", "/org/knocktail").stdout
    for word in ("List(", "Open(in  s door", "in  s source", "in  u seconds", "Close(", "Reload(",
                 "Stats(", "Opened(", "Closed(", "Version", "Since", "Doors", "Grants"):
        assert word in told, told
    for name, value in (("Doors", "<['ssh', 'web']>"), ("Grants", "<uint32 0>"),
                        ("Version", "<'")):
        done = bus.call(STRANGER, "Get", "org.knocktail.Manager1", name,
                        interface="org.freedesktop.DBus.Properties")
        assert value in done.stdout, done


def test_the_man_page_explains_all_that_is_counted(daemon, bus):
    with open(os.path.join(ROOT, "man", "org.knocktail.Manager1.5"), encoding="utf-8") as file:
        page = file.read()
    names = re.findall(r"'([a-z_]+)': ", bus.call(STRANGER, "Stats").stdout)
    assert len(names) > 10
    for name in names:
        assert re.search(rf"^\.It Li .*\b{name}\b", page, re.M), name


def test_bad_calls(daemon, bus):
    for member, arguments in (("Open", ("ssh", "", "0")), ("Open", ("", "198.51.100.1", "0")),
                              ("Open", ("ssh", "198.51.100.1\n", "0")),
                              ("Open", ("ssh", "::ffff:198.51.100.1", "0")),
                              ("Open", ("x" * 100, "198.51.100.1", "0")),
                              ("Open", ("ssh", "198.51.100.1", "4294967295")),
                              ("Close", ("x" * 100, "")), ("Close", ("", "")),
                              ("Close", ("no\nsuch", "")), ("Close", ("ssh", "x")),
                              ("Open", ("ssh",)), ("Nonsense", ())):
        done = bus.call("root", member, *arguments)
        assert done.returncode != 0, (member, arguments, done.stdout)
    assert bus.has_daemon()


def test_a_bus_that_comes_later(bus, start, client, lab):
    bus.stop()
    try:
        daemon = start(DOORS)
        client.knock(7000, 8000, 9000)
        client.wait_open()
    finally:
        bus.start()
    bus.wait_daemon()
    assert ask(lab, "list")[0]["source"] == client.v4
    assert daemon.stop() == 0


def test_a_bus_that_is_restarted(daemon, bus, client, other, lab):
    bus.stop()
    try:
        client.knock(7000, 8000, 9000)
        client.wait_open()
    finally:
        bus.start()
    bus.wait_daemon()
    assert ask(lab, "close", "ssh")["closed"] == 1
    other.knock(7000, 8000, 9000)
    other.wait_open()


def test_a_verb_while_the_bus_hangs(lab, bus):
    """It gives up within seconds."""
    bus.signal(signal.SIGSTOP)
    try:
        done = lab.knocktail("status", timeout=15)
    finally:
        bus.signal(signal.SIGCONT)
    assert done.returncode == 1 and "cannot reach knocktaild" in done.stderr


def test_a_bus_that_hangs(daemon, bus, client, other, lab):
    """Doors open and close as ever while nobody reads what the daemon tells."""
    bus.signal(signal.SIGSTOP)
    try:
        client.knock(7000, 8000, 9000)
        client.wait_open()
        assert daemon.stop() == 0
        assert not client.can_connect()
    finally:
        bus.signal(signal.SIGCONT)


def test_many_calls_at_once(start, bus, lab):
    """There is room for so many that wait for an answer; the others are refused, and all is well."""
    gate = lab.file("gate")
    start(command_door(start_command=f"/usr/bin/flock --shared {gate} /bin/true",
                       stop_command="/bin/true", timeout="60s"))
    bus.wait_daemon()
    script = " & ".join(f"{lab.cli_path} open web 198.51.100.{number} >/dev/null"
                        for number in range(1, 101))
    with open(lab.server.path(gate), encoding="ascii") as held:
        # Nobody is answered before somebody was refused.
        fcntl.flock(held, fcntl.LOCK_EX)
        callers = lab.server.popen(["bash", "-c", f"exec 2>&1; {script} & wait"],
                                   stdout=subprocess.PIPE)
        assert b"too many calls are waiting" in callers.stdout.readline()
    callers.communicate(timeout=60)
    assert ask(lab, "status")["running"]


def test_questions_whose_answers_nobody_takes(daemon, bus, client, lab):
    """A bus that is full of them takes no more; the daemon keeps none for it, and works."""
    def own_memory():
        # Not what it maps: how much of the journal that is depends on what others log.
        with open(f"/proc/{daemon.pid}/status", encoding="ascii") as file:
            return int(re.search(r"RssAnon:\s*(\d+) kB", file.read()).group(1))

    before = most = own_memory()
    lab.install(os.path.join(os.path.dirname(__file__), "ask_and_do_not_listen.py"), "ask.py")
    with bus.popen_as(STRANGER, "/usr/bin/python3", "/run/lab/ask.py", "100", "120") as asker:
        while asker.poll() is None:
            most = max(most, own_memory())
            time.sleep(0.005)
    assert asker.returncode == 0
    assert most - before < 2000, (before, most)
    client.knock(7000, 8000, 9000)
    client.wait_open()
    wait_until(lambda: lab.knocktail("list").stdout.startswith("ssh"), 10, "it answers again")
