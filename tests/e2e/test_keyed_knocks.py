"""Tokens and SPA knocks, sent by a client that was written from the specification alone."""

import base64
import contextlib
import os
import random
import re
import signal
import socket
import time

import pytest

import oracle
from doors import SENTINEL, command_door, ipset_door
from hosts import wait_until
from lab import DAEMON_UID

# A step is 30 s long: a door that takes a while of them needs another one for each knock.
STEP = oracle.STEP_SECONDS


class Keys:
    """A keys directory in the lab."""

    def __init__(self, lab, *users):
        self.lab = lab
        self.directory = f"/run/lab/keys-{next(lab.numbers)}"
        os.mkdir(lab.server.path(self.directory), 0o750)
        os.chown(lab.server.path(self.directory), 0, DAEMON_UID)
        self.lines = {}     # what stands in the files
        self.key = {user: self.make(user) for user in users}

    def path(self, user):
        return self.lab.server.path(f"{self.directory}/{user}.key")

    def make(self, user, mode=0o640, realm=oracle.REALM):
        """A key file as keygen leaves it. What its knocks come from is returned."""
        key = os.urandom(32)
        self.lines[user] = oracle.key_line(key, realm)
        with open(self.path(user), "w", encoding="ascii") as file:
            file.write(self.lines[user])
        os.chmod(self.path(user), mode)
        os.chown(self.path(user), 0, DAEMON_UID)
        return oracle.base_of(key, realm)

    def append(self, user, line):
        """Another line behind the key."""
        with open(self.path(user), "a", encoding="ascii") as file:
            file.write(f"{line}\n")

    def remove(self, user):
        os.unlink(self.path(user))

    @property
    def options(self):
        return f"keys = {self.directory}\nrealm = {oracle.REALM}"


@pytest.fixture
def keys(lab):
    """The keys of alice and bob."""
    return Keys(lab, "alice", "bob")


def token_door(name="ssh", **keys):
    return ipset_door(name, **{"sequence": None, "seq_timeout": None, "auth": "token", "users": "*",
                               **keys})


def spa_door(name="ssh", **keys):
    return token_door(name, **{"auth": "spa", **keys})


def token(key, door="ssh", late=0, source=None, version=4):
    """The ports of a token whose sender's clock is late by so much."""
    return oracle.token_ports(key, door, time.time() - late, source, version)


def send_token(client, ports, version=4, tcp=False):
    send = oracle.send_tcp if tcp else oracle.send_udp
    send(client.peer(version), ports, make_socket=client.socket)


def spa(key, door="ssh", late=0, source=None, seconds=0):
    """The port and the option of an SPA knock."""
    now = int(time.time() - late)
    return oracle.spa_port(key, now), oracle.spa_option(key, door, now, os.urandom(12), seconds,
                                                        source)


def send_spa(client, knock, version=4):
    port, option = knock
    oracle.send_syn(client.peer(version), port, option, client.address(version),
                    make_socket=client.socket)


def send(client, kind, knock, version=4):
    (send_token if kind == "token" else send_spa)(client, knock, version)


MAKE = {"token": token, "spa": spa}
DOOR = {"token": token_door, "spa": spa_door}
KINDS = pytest.mark.parametrize("kind", ["token", "spa"])


def reason(daemon, **fields):
    """Why the last one was refused."""
    daemon.wait_message("refused", **fields)
    return daemon.events(**fields)[-1]["KNOCKTAIL_REASON"]


@pytest.mark.parametrize("tcp", [False, True], ids=["UDP", "SYN"])
@pytest.mark.parametrize("version", [4, 6], ids=["IPv4", "IPv6"])
def test_a_token_in_any_order_opens(version, tcp, client, clients, start, keys):
    daemon = start(token_door(), keys.options)
    for who in (client, clients()):
        ports = token(keys.key["alice" if who is client else "bob"], version=version)
        random.shuffle(ports)
        send_token(who, ports, version, tcp)
        who.wait_open(version=version)
    event = daemon.wait_message("opened", SOURCE=client.address(version), USER="alice",
                                KNOCK="token")
    assert f"opened for {client.address(version)} (alice) until" in event


def test_each_family_has_a_token_of_its_own(clients, start, keys):
    daemon = start(token_door(), keys.options)
    client, thief = clients(), clients()
    for version in (4, 6):
        ports = token(keys.key["alice"], version=version)
        send_token(client, ports, version)
        client.wait_open(version=version)
        send_token(thief, ports, version)
        assert reason(daemon, SOURCE=thief.address(version)).startswith("replayed")


@pytest.mark.parametrize("version", [4, 6], ids=["IPv4", "IPv6"])
def test_an_spa_knock_opens(version, client, start, keys):
    daemon = start(spa_door(), keys.options)
    send_spa(client, spa(keys.key["alice"]), version)
    client.wait_open(version=version)
    daemon.wait_message("opened", SOURCE=client.address(version), USER="alice", KNOCK="spa")


def test_other_probes_do_not_matter_to_a_token(client, start, keys):
    start(token_door(), keys.options)
    ports = token(keys.key["alice"])
    for port in ports:
        client.hit(random.choice([7, 9, 11, 13, 19]))
        client.hit(f"{port}/udp")
    client.wait_open()


def test_one_door_with_all_ways(clients, start, keys):
    start(ipset_door(auth="sequence, token, spa", users="alice"), keys.options)
    by_sequence, by_token, by_spa = clients(), clients(), clients()
    by_sequence.knock(7000, 8000, 9000)
    by_sequence.wait_open()
    send_token(by_token, token(keys.key["alice"]))
    by_token.wait_open()
    send_spa(by_spa, spa(keys.key["alice"]))
    by_spa.wait_open()


@KINDS
@pytest.mark.parametrize("end", [None, "SIGTERM", "SIGKILL"])
def test_the_same_again_opens_nothing(kind, end, clients, start, keys):
    daemon = start(DOOR[kind](), keys.options)
    first, thief, late_thief = clients(), clients(), clients()
    knock = MAKE[kind](keys.key["alice"])
    send(first, kind, knock)
    first.wait_open()
    if end:
        daemon.signal(getattr(signal, end))
        daemon.wait()
        daemon = start(DOOR[kind](), keys.options)
    for who in (thief, late_thief):
        send(who, kind, knock)
        assert reason(daemon, SOURCE=who.v4, USER="alice").startswith("replayed")
        assert not who.can_connect()
    other = clients()
    send(other, kind, MAKE[kind](keys.key["alice"], late=-STEP))
    other.wait_open()


@KINDS
def test_what_opens_nothing(kind, clients, start, keys, nothing_opened, lab):
    """Of what can be told apart, the reason is told."""
    doors = (DOOR[kind]() + DOOR[kind]("bobs", users="bob") +
             DOOR[kind]("bound", bind_source="yes") + DOOR[kind]("unbound", bind_source="no") +
             SENTINEL)
    daemon = start(doors, keys.options)
    stranger = os.urandom(32)
    alice, make = keys.key["alice"], MAKE[kind]
    suspects = []

    def expect(knock, door, why):
        suspect = clients()
        send(suspect, kind, knock(suspect))
        if why is None:
            suspects.append(suspect)
        else:
            fields = {"SOURCE": suspect.v4, **({"DOOR": door} if door else {})}
            assert why in reason(daemon, **fields)
            assert not suspect.can_connect()
            assert suspect.v4 not in lab.members()

    unknown = None if kind == "token" else "unknown key"
    expect(lambda _: make(stranger), None, unknown)
    expect(lambda _: make(alice, "bobs"), "bobs", "not this user's door")
    if kind == "token":  # eight ports as good as any others
        expect(lambda _: make(alice, "bound", source=clients().v4), None, None)
    else:
        expect(lambda _: make(alice, "bound", source=clients().v4), "bound", "another address")
        expect(lambda who: make(alice, "unbound", source=who.v4), "unbound", "wrong source")
    expect(lambda _: make(alice, "bound"), "bound", "wrong source")
    expect(lambda _: make(alice, late=120), "ssh", "stale by ")
    expect(lambda _: make(alice, late=-120), "ssh", "too early by ")
    if kind == "token":
        ports = make(alice)
        for missing in range(8):
            expect(lambda _: ports[:missing] + ports[missing + 1:], None, None)
    else:
        expect(lambda _: make(alice, "nowhere"), None, "unknown door")
        port, option = make(alice)
        for bit in (32, 127, 128, 175, 176, 191, 192, 319):
            flipped = bytearray(option)
            flipped[bit // 8] ^= 0x80 >> bit % 8
            if bit < 176:  # nothing in it makes sense any more
                expect(lambda _: (port, bytes(flipped)), None, "unknown key, or damaged")
            else:
                expect(lambda _: (port, bytes(flipped)), "ssh", "or was altered in transit")
    nothing_opened(daemon, *suspects)
    right = clients()
    send(right, kind, make(alice, "bound", source=right.v4))
    right.wait_open()


@KINDS
def test_a_door_takes_bound_knocks_and_others(kind, clients, start, keys, nothing_opened):
    """The default. What names an address is of use to that address alone."""
    daemon = start(DOOR[kind]() + SENTINEL, keys.options)
    knocker, thief, behind_nat = clients(), clients(), clients()
    knock = MAKE[kind](keys.key["alice"], source=knocker.v4)
    send(thief, kind, knock)
    if kind == "token":
        nothing_opened(daemon, thief)
    else:
        assert "names another address" in reason(daemon, SOURCE=thief.v4)
    send(knocker, kind, knock)
    knocker.wait_open()
    send(behind_nat, kind, MAKE[kind](keys.key["bob"]))
    behind_nat.wait_open()
    assert not thief.can_connect()


@KINDS
def test_a_knock_that_came_too_early_is_not_good_later(kind, clients, start, keys):
    """Whoever has seen it could wait until its time has come."""
    daemon = start(DOOR[kind](), f"{keys.options}\nclock_skew = 30s")
    early, thief = clients(), clients()
    knock = MAKE[kind](keys.key["alice"], late=-65)
    send(early, kind, knock)
    assert "too early" in reason(daemon, SOURCE=early.v4)
    daemon.stop()
    # The same moment, as a daemon that takes more of a skew sees it.
    daemon = start(DOOR[kind](), f"{keys.options}\nclock_skew = 2min")
    send(thief, kind, knock)
    assert reason(daemon, SOURCE=thief.v4).startswith("replayed")
    assert not thief.can_connect()


def test_a_requested_time_is_bounded(clients, start, keys, lab):
    start(spa_door(timeout="20s", max_timeout="90s"), keys.options)
    for seconds, left in ((0, 20), (10, 10), (60, 60), (90, 90), (65535, 90)):
        client = clients()
        begun = time.monotonic()
        send_spa(client, spa(keys.key["alice"], seconds=seconds))
        client.wait_open()
        members = lab.members()
        assert left - 1 - (time.monotonic() - begun) <= members[client.v4] <= left
    assert max(lab.members().values()) <= 90


def test_without_max_timeout_none_may_be_longer(client, start, keys, lab):
    start(spa_door(timeout="20s"), keys.options)
    send_spa(client, spa(keys.key["alice"], seconds=600))
    client.wait_open()
    assert lab.members()[client.v4] <= 20


def test_commands_know_the_user_and_the_time(client, start, keys, lab):
    said = lab.file("said", "", 0o666)
    script = lab.file("say", f"#!/bin/sh\necho \"$@\" >>{said}\n", 0o755)
    start(command_door(sequence=None, seq_timeout=None, auth="spa", users="*", timeout="2s",
                       max_timeout="1h", start_command=f"{script} open %USER% %TIMEOUT% %IP%",
                       stop_command=f"{script} close %USER% %TIMEOUT%"), keys.options)
    send_spa(client, spa(keys.key["bob"], "web", seconds=3))
    wait_until(lambda: lab.read(said).count("\n") == 2, 10, "both commands have run")
    assert lab.read(said) == f"open bob 3 {client.v4}\nclose bob 3\n"


@KINDS
def test_a_key_that_is_taken_away_closes_its_doors(kind, clients, start, keys):
    daemon = start(DOOR[kind](timeout="1h"), keys.options)
    of_alice, of_bob = clients(), clients()
    send(of_alice, kind, MAKE[kind](keys.key["alice"]))
    send(of_bob, kind, MAKE[kind](keys.key["bob"]))
    of_alice.wait_open()
    of_bob.wait_open()
    daemon.reload()
    assert of_alice.can_connect() and of_bob.can_connect()
    keys.remove("alice")
    daemon.reload()
    of_alice.wait_closed()
    assert daemon.wait_message("closed", SOURCE=of_alice.v4, USER="alice")
    assert of_bob.can_connect()
    # Another key is another user, whatever its name is.
    keys.make("bob")
    daemon.reload()
    of_bob.wait_closed()
    late = clients()
    send(late, kind, MAKE[kind](keys.key["alice"], late=-STEP))
    send(late, kind, MAKE[kind](keys.key["bob"], late=-STEP))
    fresh = clients()
    carol = keys.make("carol")
    daemon.reload()
    send(fresh, kind, MAKE[kind](carol))
    fresh.wait_open()
    assert not late.can_connect()


def test_a_key_that_is_taken_away_takes_its_own_time_with_it(clients, start, keys, lab):
    """Whoever has knocked from the same address keeps what they have asked for."""
    daemon = start(ipset_door(auth="sequence, spa", users="*", timeout="30s", max_timeout="8h"),
                   keys.options)
    alone, shared_with_nobody, shared_with_bob = (clients() for _ in range(3))
    for client in (alone, shared_with_nobody, shared_with_bob):
        send_spa(client, spa(keys.key["alice"], seconds=28800))
        client.wait_open()
    shared_with_nobody.knock(7000, 8000, 9000)
    daemon.wait_message("renewed", SOURCE=shared_with_nobody.v4)
    send_spa(shared_with_bob, spa(keys.key["bob"], seconds=600))
    daemon.wait_message("renewed", SOURCE=shared_with_bob.v4)
    keys.remove("alice")
    daemon.reload()
    daemon.wait_message("closed", SOURCE=alone.v4)
    left = lab.members()
    assert alone.v4 not in left
    assert 0 < left[shared_with_nobody.v4] <= 30
    assert 30 < left[shared_with_bob.v4] <= 600


def test_one_key_does_not_shut_out_the_others(clients, start, keys):
    daemon = start(spa_door(timeout="60s"), f"{keys.options}\nmax_open_user = 2")
    first, second, third, other = (clients() for _ in range(4))
    for client in (first, second):
        send_spa(client, spa(keys.key["alice"]))
        client.wait_open()
    send_spa(third, spa(keys.key["alice"]))
    assert reason(daemon, SOURCE=third.v4) == "the user has max_open_user doors open"
    send_spa(first, spa(keys.key["alice"]))
    daemon.wait_message("renewed", SOURCE=first.v4)
    send_spa(other, spa(keys.key["bob"]))
    other.wait_open()
    assert not third.can_connect()


def test_a_key_taken_away_while_the_daemon_is_dead(client, start, keys):
    daemon = start(token_door(timeout="1h"), keys.options)
    send_token(client, token(keys.key["alice"]))
    client.wait_open()
    daemon.kill()
    keys.remove("alice")
    start(token_door(timeout="1h"), keys.options)
    client.wait_closed()


def test_wrong_key_files_are_refused_by_name(clients, start, keys, lab):
    os.chmod(keys.path("alice"), 0o644)
    carol, dave = keys.make("carol"), keys.make("dave", realm="elsewhere")
    with open(keys.path("carol"), "a", encoding="ascii") as file:
        file.write("# carol's\n")
    with open(keys.path("erin"), "w", encoding="ascii") as file:
        file.write(base64.b64encode(os.urandom(32)).decode() + "\n")
    os.chown(keys.path("erin"), DAEMON_UID, 0)
    os.chmod(keys.path("erin"), 0o600)
    daemon = start(token_door() + SENTINEL, keys.options)
    assert f"{keys.directory}/alice.key: warning: refused: everybody may read" in daemon.stderr()
    assert f"{keys.directory}/carol.key: warning: refused: a line in it is neither" in daemon.stderr()
    assert (f"{keys.directory}/dave.key: warning: refused: it is for the realm elsewhere, and this is "
            f"{oracle.REALM}: make a new one with knocktail keygen") in daemon.stderr()
    assert f"{keys.directory}/erin.key: warning: refused: it is a key of version 1" in daemon.stderr()
    assert all(line.split()[-1] not in daemon.stderr() for line in keys.lines.values())
    of_alice, of_bob, of_dave = clients(), clients(), clients()
    send_token(of_dave, token(dave))
    send_token(of_alice, token(keys.key["alice"]))
    send_token(of_bob, token(keys.key["bob"]))
    of_bob.wait_open()
    assert not of_alice.can_connect() and not of_dave.can_connect()
    checked = lab.knocktail("check", "-c", daemon.config)
    assert "alice.key: warning: refused" in checked.stderr and "warnings: 4" in checked.stdout


def moment(later_s):
    """A date in a key file."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + later_s))


@KINDS
def test_a_key_that_expires(kind, clients, start, keys, lab):
    """It opens doors until then; the daemon says so once, and others do not care."""
    carol = keys.make("carol")
    daemon = start(DOOR[kind](timeout="60s") + SENTINEL, keys.options)
    of_alice, of_bob, of_carol, late = clients(), clients(), clients(), clients()
    keys.append("bob", f"since {moment(3600)}")
    keys.append("alice", f"expires {moment(5)}")
    daemon.reload()
    send(of_alice, kind, MAKE[kind](keys.key["alice"]))
    of_alice.wait_open()
    assert re.search(r"alice\.key: warning: it expires on \S+: knocktail keygen --rotate",
                     daemon.stderr())
    assert "bob.key: warning: it opens nothing before" in daemon.stderr()
    send(of_bob, kind, MAKE[kind](keys.key["bob"]))
    assert reason(daemon, SOURCE=of_bob.v4) == "its key is not good yet"
    said = re.compile(r"the key of alice: it expired on \S+, and opens nothing")
    wait_until(lambda: said.search(daemon.stderr()), 8, "the end of the key is announced")
    send(late, kind, MAKE[kind](keys.key["alice"], late=-STEP))
    assert reason(daemon, SOURCE=late.v4) == "its key has expired"
    assert not late.can_connect() and of_alice.can_connect()
    send(of_carol, kind, MAKE[kind](carol))
    of_carol.wait_open()
    assert len(said.findall(daemon.stderr())) == 1
    checked = lab.knocktail("check", "-c", daemon.config)
    assert re.search(r"alice\.key: warning: it expired on \S+, and opens nothing", checked.stderr)


def test_each_key_of_a_user_for_itself(clients, start, keys):
    """The one before goes early: what it has opened closes, and what the new one has opened stays.
    So it is with a key that goes while no daemon runs, and would have opened its doors again."""
    old, old_line = keys.key["alice"], keys.lines["alice"]
    new = keys.make("alice")
    new_line = keys.lines["alice"]

    def write(text):
        with open(keys.path("alice"), "w", encoding="ascii") as file:
            file.write(text)

    write(f"{new_line.strip()}\n{old_line.strip()}\nexpires {moment(3600)}\n")
    daemon = start(token_door(timeout="60s") + SENTINEL, keys.options)
    by_old, by_new, by_both = clients(), clients(), clients()
    send_token(by_old, token(old))
    send_token(by_new, token(new))
    by_old.wait_open()
    by_new.wait_open()
    send_token(by_both, token(old, late=-STEP))
    by_both.wait_open()
    send_token(by_both, token(new, late=-STEP))
    daemon.wait_message("door ssh renewed for", SOURCE=by_both.v4)
    write(new_line)
    daemon.reload()
    by_old.wait_closed()
    assert by_new.can_connect() and by_both.can_connect()
    daemon.stop()
    by_new.wait_closed()
    keys.make("alice")
    start(token_door(timeout="60s") + SENTINEL, keys.options)
    assert not by_new.can_connect() and not by_both.can_connect()


@pytest.mark.parametrize("line, complaint", [
    ("expires 2027-02-30", "a date in it is not YYYY-MM-DD or YYYY-MM-DDThh:mm:ssZ"),
    ("expires tomorrow", "a date in it is not"),
    ("until 2027-01-01", "a line in it is neither a key nor since DATE nor expires DATE"),
    ("since 2027-01-02\nexpires 2027-01-01", "since is not before expires"),
    (oracle.key_line(b"x" * 32).strip(), "has no expires"),
    (oracle.key_line(b"x" * 32) + "expires 2099-01-01\n" + oracle.key_line(b"y" * 32).strip(),
     "it has more than two keys"),
])
def test_times_that_are_wrong(line, complaint, clients, start, keys):
    """That key is refused, and the others are good."""
    keys.append("alice", line)
    daemon = start(token_door(), keys.options)
    assert re.search(rf"alice\.key: warning: refused: .*{complaint}", daemon.stderr())
    client = clients()
    send_token(client, token(keys.key["bob"]))
    client.wait_open()


def test_a_token_at_another_server_opens_nothing(clients, start, keys, nothing_opened):
    """One key on two servers: what one of them has heard is noise to the other."""
    daemon = start(token_door() + SENTINEL, keys.options)
    secret = base64.b64decode(keys.lines["alice"].split()[-1])
    who = clients()
    send_token(who, token(oracle.base_of(secret, "elsewhere")))
    send_token(who, token(secret))
    nothing_opened(daemon, who)
    send_token(who, token(oracle.base_of(secret, oracle.REALM)))
    who.wait_open()


def test_a_request_at_another_server_opens_nothing(client, start, keys):
    daemon = start(spa_door(), keys.options)
    secret = base64.b64decode(keys.lines["alice"].split()[-1])
    _, option = spa(oracle.base_of(secret, "elsewhere"))
    # Even at the port of this one's.
    send_spa(client, (spa(keys.key["alice"])[0], option))
    assert reason(daemon, SOURCE=client.v4) == "unknown key, or damaged"
    send_spa(client, spa(keys.key["alice"]))
    client.wait_open()


def secret_places(pid, *secrets):
    """The flags (proc(5), VmFlags) of each mapping of a process that holds one of the secrets."""
    with open(f"/proc/{pid}/smaps", encoding="ascii") as file:
        mappings = re.findall(r"^([0-9a-f]+)-([0-9a-f]+) (r\S+) .*?^VmFlags: (.*?)$", file.read(),
                              re.MULTILINE | re.DOTALL)
    found = []
    with open(f"/proc/{pid}/mem", "rb", buffering=0) as memory:
        for start, end, _, flags in mappings:
            with contextlib.suppress(OSError, OverflowError, ValueError):
                data = os.pread(memory.fileno(), int(end, 16) - int(start, 16), int(start, 16))
                if any(secret in data for secret in secrets):
                    found.append(set(flags.split()))
    return found


def test_keys_are_nowhere_but_in_locked_memory(clients, start, keys):
    """Not on the stack either, nor what is left of a file that was read or a ring that is gone."""
    daemon = start(token_door(auth="token, spa"), keys.options)
    key = keys.key["alice"]
    secrets = [key, oracle.spa_key(key)]
    never = [(line := keys.lines["alice"].split()[-1].encode()), base64.b64decode(line)]
    for make in (token, spa):
        who = clients()
        send(who, make.__name__, make(key))
        who.wait_open()
        daemon.reload()
    places = secret_places(daemon.pid, *secrets)
    assert len(places) >= 2, "there they are"
    assert all({"lo", "dd"} <= flags for flags in places), "locked, and left out of core dumps"
    keys.remove("alice")
    daemon.reload()
    assert secret_places(daemon.pid, *secrets) == []
    assert secret_places(daemon.pid, *never) == []


def burnt(daemon):
    """The files of what was used."""
    path = daemon.lab.server.path(f"{daemon.state}/burnt")
    return [os.path.join(path, name) for name in os.listdir(path)] if os.path.isdir(path) else []


@KINDS
def test_killed_between_burning_and_opening(kind, clients, start, keys, lab):
    """The command that opens the door waits at a FIFO until the daemon is dead."""
    fifo = f"/run/lab/fifo-{next(lab.numbers)}"
    os.mkfifo(lab.server.path(fifo), 0o666)
    os.chmod(lab.server.path(fifo), 0o666)
    opened = lab.file(f"opened-{next(lab.numbers)}", "", 0o666)
    script = lab.file("open-late", f"#!/bin/sh\necho begun >>{opened}\nread line <{fifo}\n"
                      f"echo open >>{opened}\n", 0o755)
    door = command_door("slow", sequence=None, seq_timeout=None, auth=kind, users="*",
                        timeout="2s", start_command=f"{script} %IP%", stop_command="/bin/true")
    first, thief = clients(), clients()
    knock = MAKE[kind](keys.key["alice"], "slow")
    daemon = start(door, keys.options)
    send(first, kind, knock)
    wait_until(lambda: lab.read(opened), 5, "the command has begun")
    assert burnt(daemon), "the knock is burnt before that"
    daemon.kill()
    assert lab.read(opened) == "begun\n"
    daemon = start(door, keys.options)
    send(thief, kind, knock)
    assert reason(daemon, SOURCE=thief.v4).startswith("replayed")
    # Whatever waited at the FIFO was not for the thief.
    assert not daemon.messages("opened", SOURCE=thief.v4)
    with open(os.open(lab.server.path(fifo), os.O_RDWR | os.O_NONBLOCK), "w",
              encoding="ascii") as file:
        file.write("go\n")


@KINDS
def test_burnt_before_anything_else(kind, clients, start, keys, lab):
    """Its state file cannot be written, so the door stays shut; the knock is used all the same."""
    daemon = start(DOOR[kind](), keys.options)
    grants = lab.server.path(os.path.join(daemon.runtime, "grants"))
    first, thief = clients(), clients()
    knock = MAKE[kind](keys.key["alice"])
    os.chmod(grants, 0o500)
    send(first, kind, knock)
    assert reason(daemon, SOURCE=first.v4) == "cannot write its state file"
    os.chmod(grants, 0o700)
    send(thief, kind, knock)
    assert reason(daemon, SOURCE=thief.v4).startswith("replayed")
    assert not first.can_connect() and not thief.can_connect()


@KINDS
def test_what_cannot_be_burnt_opens_nothing(kind, clients, start, keys, lab):
    """A full disk, as far as the daemon can tell."""
    daemon = start(DOOR[kind](), keys.options)
    first, thief, later = clients(), clients(), clients()
    knock = MAKE[kind](keys.key["alice"])
    os.chmod(lab.server.path(daemon.state), 0o500)
    send(first, kind, knock)
    assert reason(daemon, SOURCE=first.v4).startswith("it cannot be recorded as used: ")
    os.chmod(lab.server.path(daemon.state), 0o700)
    send(thief, kind, knock)
    daemon.wait_message("refused", SOURCE=thief.v4)
    send(later, kind, MAKE[kind](keys.key["bob"]))
    later.wait_open()
    assert not first.can_connect() and not thief.can_connect()


@KINDS
def test_a_full_disk(kind, clients, start, keys, lab):
    state = f"/run/full-{next(lab.numbers)}"
    path = lab.server.path(state)
    os.mkdir(path)
    lab.server.run("mount", "-t", "tmpfs", "-o", "size=64k,mode=700", "tmpfs", state)
    lab.server.run("chown", f"{DAEMON_UID}:{DAEMON_UID}", state)
    daemon = start(DOOR[kind](), keys.options, state=state)
    lab.server.run("sh", "-c", f"head -c 1M /dev/zero >{state}/rubbish", check=False)
    client, other = clients(), clients()
    send(client, kind, MAKE[kind](keys.key["alice"]))
    assert "No space left on device" in reason(daemon, SOURCE=client.v4)
    lab.server.run("rm", f"{state}/rubbish")
    send(other, kind, MAKE[kind](keys.key["bob"]))
    other.wait_open()
    assert not client.can_connect()
    daemon.stop()
    lab.server.run("umount", state)


@KINDS
def test_a_damaged_file_refuses(kind, clients, start, keys):
    daemon = start(DOOR[kind](), keys.options)
    first, thief, other = clients(), clients(), clients()
    knock = MAKE[kind](keys.key["alice"])
    send(first, kind, knock)
    first.wait_open()
    daemon.kill()
    with open(burnt(daemon)[0], "w", encoding="ascii") as file:
        file.write("knocktail-burnt 1\n")
    daemon = start(DOOR[kind](), keys.options)
    send(thief, kind, knock)
    assert "is damaged" in reason(daemon, SOURCE=thief.v4)
    assert not thief.can_connect()
    send(other, kind, MAKE[kind](keys.key["bob"]))
    other.wait_open()


@pytest.mark.fills_the_kernel_log
def test_a_flood_of_forged_requests(clients, start, keys):
    """They cost little, are told of now and then, and keep nobody out."""
    daemon = start(spa_door(), keys.options)
    flooder, right = clients(), clients()
    port, option = spa(os.urandom(32))
    port = oracle.spa_port(keys.key["alice"], time.time())
    with flooder.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_TCP) as sock:
        for _ in range(3000):
            sock.sendto(oracle.syn(flooder.v4, flooder.peer(), random.randrange(32768, 61000),
                                   port, option), (flooder.peer(), 0))
    send_spa(right, spa(keys.key["alice"]))
    right.wait_open(timeout=5)
    told = daemon.messages("refused", SOURCE=flooder.v4)
    assert 1 <= len(told) <= 15
    send_spa(clients(), spa(os.urandom(32)))
    assert all(line.split()[-1] not in daemon.stderr() for line in keys.lines.values())


def test_replay_uses_nothing_up(client, clients, start, keys, lab):
    """What has been knocked is judged by its own time, and stays as it was."""
    doors = token_door() + spa_door("web")
    daemon = start(SENTINEL, keys.options)
    knock, wrong = token(keys.key["alice"]), clients()
    send_token(client, knock)
    send_spa(client, spa(keys.key["bob"], "web"))
    send_token(wrong, knock)
    wait_until(lambda: len([entry for entry in lab.records() if wrong.v4 in entry["MESSAGE"]]) >= 8,
               5, "all is logged")
    config = lab.config(doors, keys.options)
    done = lab.knocktail("replay", "-c", config, "--directory", lab.journal_directory)
    assert f"door ssh would have opened for {client.v4}\n" in done.stdout
    assert f"door web would have opened for {client.v4}\n" in done.stdout
    assert any(wrong.v4 in line and "refused: replayed" in line
               for line in done.stdout.splitlines())
    assert f"would have opened for {wrong.v4}" not in done.stdout
    assert not burnt(daemon)
    daemon.stop()
    start(doors, keys.options)
    late = clients()
    send_token(late, knock)
    late.wait_open()
