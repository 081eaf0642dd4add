"""knocktap, the client: what it sends opens doors, and it goes in."""

import contextlib
import ipaddress
import os
import re
import select
import shutil
import signal
import socket
import struct
import subprocess
import tempfile
import time

import pytest

import oracle

from doors import ipset_door, iptables_door
from hosts import wait_until
from lab import DAEMON_UID, program

KNOCKS = {
    "tcp": ("7000", "8000", "9000"),
    "udp": ("7000/udp", "8000:udp", "9000/UDP"),
    "mixed": ("7000", "8000/udp", "9000", "7000"),
}


@pytest.fixture
def tap(client):
    """Runs knocktap on the client; it knows no profiles but those it is given."""
    def run(*arguments, check=True, **kwargs):
        done = client.run(program("knocktap"), *arguments, check=False, **kwargs)
        if check:
            assert done.returncode == 0, f"{arguments}: {done.returncode}\n{done.stderr}"
        return done
    return run


def sent(lab, client, version=4, besides=("22",)):
    """What has been logged of the client's packets, in order: (protocol, port, to)."""
    address = ipaddress.ip_address(client.address(version)).exploded
    found = []
    for record in lab.records():
        fields = re.search(rf" SRC={re.escape(address)} DST=(\S+) .*"
                           r"PROTO=(TCP|UDP) .*DPT=(\d+)", record["MESSAGE"])
        if fields and fields[3] not in besides:
            found.append((fields[2].lower(), int(fields[3]), fields[1]))
    return found


def wait_sent(lab, client, n, version=4):
    """Waits until so many of the client's packets have been logged, and returns them."""
    with contextlib.suppress(AssertionError):
        wait_until(lambda: len(sent(lab, client, version)) >= n, 3, "packets were logged")
    found = sent(lab, client, version)
    assert len(found) == n, f"{len(found)} of {n} packets were logged: {found}"
    return found


@pytest.mark.parametrize("protocols", KNOCKS)
@pytest.mark.parametrize("version", [4, 6], ids=["IPv4", "IPv6"])
def test_a_sequence_opens_the_door(version, protocols, client, start, tap):
    steps = KNOCKS[protocols]
    daemon = start(ipset_door(sequence=", ".join(steps)))
    done = tap(client.peer(version), *steps)
    assert (done.stdout, done.stderr) == ("", "")
    client.wait_open(version=version)
    daemon.wait_message("opened", DOOR="ssh", SOURCE=client.address(version))
    assert len(daemon.events(DOOR="ssh", SOURCE=client.address(version))) == 1


def test_the_options_of_knockds_client(client, start, tap):
    start(ipset_door(sequence="7000/udp, 8000/tcp, 9000/udp"))
    done = tap("-v", "-u", "-d", 5, "-4", client.peer(), "7000", "8000:tcp", "9000")
    assert done.stderr == f"knocktap: sent a sequence to {client.peer()}\n"
    client.wait_open()


def test_each_step_is_one_packet_whatever_comes_back(lab, client, start, tap):
    """With a daemon that opens, and with none; and where the server answers that it is closed."""
    tap(client.peer(), "7000", "8000/udp", "9000")
    before = wait_sent(lab, client, 3)
    assert before == [("tcp", 7000, client.peer()), ("udp", 8000, client.peer()),
                      ("tcp", 9000, client.peer())]
    start(ipset_door(sequence="7000, 8000/udp, 9000"))
    tap(client.peer(), "7000", "8000/udp", "9000")
    client.wait_open()
    assert sent(lab, client) == before * 2
    lab.server.run("iptables", "-A", "INPUT", "-s", client.address(), "-j", "REJECT")
    try:
        tap(client.peer(), "7000", "8000/udp", "8000/udp", "9000")
    finally:
        lab.server.run("iptables", "-D", "INPUT", "-s", client.address(), "-j", "REJECT")
    assert [port for _, port, _ in wait_sent(lab, client, 10)[6:]] == [7000, 8000, 8000, 9000]


@pytest.mark.parametrize("version", [4, 6], ids=["IPv4", "IPv6"])
def test_wait_returns_when_the_port_accepts(version, client, start, tap):
    start(ipset_door())
    tap("--wait", 22, client.peer(version), 7000, 8000, 9000)
    assert client.can_connect(version=version)


def test_wait_gives_up_after_its_timeout(lab, client, start, tap):
    start(ipset_door())
    done = tap("--wait", 22, "--timeout", "900ms", client.peer(), 7000, 8000, 9001, check=False)
    assert done.returncode == 1
    # glibc's words and musl's.
    assert re.search("cannot connect to port 22: (Connection|Operation) timed out$", done.stderr, re.MULTILINE)
    # The kernel alone would have tried once; and nobody wants to be flooded either.
    client.hit(7999)
    wait_until(lambda: sent(lab, client)[-1:] == [("tcp", 7999, client.peer())], 3, "it is logged")
    tries = [port for _, port, _ in sent(lab, client, besides=())].count(22)
    assert 3 <= tries <= 6
    # What came last of a knock that was not right is not the beginning of the next one.
    tap("--wait", 22, "--timeout", "5s", client.peer(), 7000, 8000, 9000)


def in_hosts_file(client, text, argv, tmp_path, **kwargs):
    """Runs a program that finds these lines in /etc/hosts."""
    hosts = tmp_path / "etc-hosts"
    hosts.write_text(text)
    return client.run("unshare", "--mount", "sh", "-c",
                      'mount --bind "$0" /etc/hosts && exec "$@"', hosts, *argv, **kwargs)


@pytest.mark.parametrize("option, versions", [((), None), (("-4",), 4), (("-6",), 6)],
                         ids=["any", "-4", "-6"])
def test_all_addresses_of_a_name_are_knocked_at(option, versions, lab, client, tmp_path):
    """Of one family: the one that a connection would try first."""
    with contextlib.ExitStack() as stack:
        for address, how in (("192.0.2.77/24", ""), ("2001:db8::77/32", "nodad")):
            lab.server.ip(f"address add {address} dev eth0 {how}")
            stack.callback(lab.server.ip, f"address del {address} dev eth0")
        names = "".join(f"{address} gateway.test\n" for address in (
            "192.0.2.1", "192.0.2.77", "2001:db8::1", "2001:db8::77", "192.0.2.77"))
        first = in_hosts_file(client, names, ["getent", "ahosts", "gateway.test"],
                              tmp_path).stdout.split()[0]
        in_hosts_file(client, names,
                      [program("knocktap"), *option, "gateway.test", 7000, "7001/udp"], tmp_path)
        version = versions or (6 if ":" in first else 4)
        knocked = wait_sent(lab, client, 4, version)
        assert sent(lab, client, 10 - version) == []
        assert [(protocol, port) for protocol, port, _ in knocked] == [
            ("tcp", 7000), ("udp", 7001)] * 2
        assert len({address for _, _, address in knocked}) == 2


def test_a_name_that_does_not_resolve(client, tap, tmp_path):
    done = in_hosts_file(client, "", [program("knocktap"), "nobody.invalid", 7000], tmp_path,
                         check=False)
    assert done.returncode == 1
    assert done.stderr.startswith("knocktap: nobody.invalid: ")


def test_whatever_the_own_machine_answers(client, tap):
    """Closed ports on this side of the wire."""
    tap("127.0.0.1", 7000, "7001/udp", "7001/udp", 7002)
    tap("::1", 7000, "7001/udp", "7001/udp", 7002)


def test_no_way_to_the_host(client, tap):
    client.ip("route del 192.0.2.0/24")
    done = tap(client.peer(), 7000, check=False)
    assert done.returncode == 1
    assert re.fullmatch(f"knocktap: cannot knock at {client.peer()}: Network (is )?unreachable\n", done.stderr)


# Tokens and requests: what is sent, held against the independent implementation

SECRET = bytes(range(100, 132))
LINE = oracle.key_line(SECRET)
KEY = oracle.base_of(SECRET, oracle.REALM)
STRANGER = oracle.base_of(bytes(range(101, 133)), oracle.REALM)


@pytest.fixture
def key(tmp_path):
    """A key file."""
    path = tmp_path / "gateway.key"
    path.write_text(LINE)
    path.chmod(0o600)
    return path


def bound_to(source, client, version):
    """The address that a knock with this --source (or without one) is bound to."""
    return None if source == "none" else source if source not in (None, "auto") else (
        client.address(version))


def possible_tokens(door, began, source=None, version=4):
    """The sets of ports that are right for some time since then."""
    steps = range(int(began) // 30, int(time.time()) // 30 + 1)
    return [set(oracle.token_ports(KEY, door, 30 * step, source, version)) for step in steps]


@pytest.mark.parametrize("version", [4, 6], ids=["IPv4", "IPv6"])
@pytest.mark.parametrize("source", [None, "auto", "none", "2001:db8::99"])
def test_a_token_is_that_of_the_specification(source, version, lab, client, tap, key):
    began = time.time()
    tap("--key", key, "--door", "SSH", *(["--source", source] if source else []),
        client.peer(version))
    packets = wait_sent(lab, client, 16, version)
    bound = bound_to(source, client, version)
    assert {protocol for protocol, _, _ in packets} == {"udp"}
    assert {port for _, port, _ in packets} in possible_tokens("ssh", began, bound, version)


class Wire:
    """All that comes to the server, before the firewall."""

    def __init__(self, lab):
        self._socket = lab.server.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.ntohs(3))
        self._socket.bind(("eth0", 3))

    def packets(self, source, wanted, timeout=3):
        """The (header, payload) of TCP packets from an address, until there are so many."""
        found = []
        end = time.monotonic() + timeout
        while len(found) < wanted and time.monotonic() < end:
            if not select.select([self._socket], [], [], 0.1)[0]:
                continue
            packet = self._socket.recv(65536)
            if packet[0] >> 4 == 4:
                length, protocol, addresses = (packet[0] & 15) * 4, packet[9], packet[12:20]
            else:
                length, protocol, addresses = 40, packet[6], packet[8:40]
            half = len(addresses) // 2
            if protocol == 6 and addresses[:half] == ipaddress.ip_address(source).packed:
                found.append((addresses, packet[length:]))
        return found

    def close(self):
        """Stops listening."""
        self._socket.close()


@pytest.fixture
def wire(lab):
    """Listens on the server's wire."""
    listening = Wire(lab)
    yield listening
    listening.close()


def checksum_is_right(addresses, segment):
    """RFC 9293, 3.1."""
    data = addresses + struct.pack(">LL", len(segment), 6) + segment
    total = sum(struct.unpack(f">{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xffff) + (total >> 16)
    return total == 0xffff


@pytest.mark.parametrize("version", [4, 6], ids=["IPv4", "IPv6"])
@pytest.mark.parametrize("source, seconds", [(None, 0), ("auto", 600), ("none", 0),
                                             ("198.51.100.250", 65535)])
def test_a_request_is_that_of_the_specification(source, seconds, version, wire, client, tap, key):
    began = int(time.time())
    span = ["--time", f"{seconds}s"] if seconds else []
    for _ in range(2):
        tap("--spa", "--key", key, "--door", "ssh", *span,
            *(["--source", source] if source else []), client.peer(version))
    bound = bound_to(source, client, version)
    packets = wire.packets(client.address(version), 2)
    assert len(packets) == 2
    for addresses, segment in packets:
        assert len(segment) == 60, "a header with all the options it has room for, and no data"
        assert checksum_is_right(addresses, segment)
        _, port, _, acknowledged, length, flags, _, _, urgent = struct.unpack(
            ">HHLLBBHHH", segment[:20])
        assert (length, flags, acknowledged, urgent) == (60 // 4 << 4, 0x02, 0, 0)
        when, tag, asked = oracle.spa_open(KEY, segment[20:], bound)
        assert began <= when <= time.time()
        assert (tag, asked) == (oracle.door_tag("ssh"), seconds)
        assert port == oracle.spa_port(KEY, when)
        assert oracle.spa_open(STRANGER, segment[20:], bound) is None
        assert oracle.spa_open(KEY, segment[20:], "192.0.2.250") is None
    assert packets[0][1][24:36] != packets[1][1][24:36], "no nonce twice"


@pytest.fixture
def as_nobody(client, key):
    """Runs knocktap on the client as a user with no privilege at all, who owns the key."""
    os.chown(key, 65534, 65534)
    path = shutil.copy(program("knocktap"), key.parent)
    for parent in key.parents:
        if str(parent) == tempfile.gettempdir():
            break
        os.chmod(parent, 0o755)     # pytest's own directories

    def run(*arguments, **kwargs):
        return client.run("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups",
                          "--no-new-privs", "--", path, *arguments, **kwargs)
    return run


def test_a_request_needs_a_privilege_and_says_so(client, key, wire, as_nobody):
    done = as_nobody("--spa", "--key", key, "--door", "ssh", client.peer(), check=False)
    assert done.returncode == 1
    assert "CAP_NET_RAW" in done.stderr and "token" in done.stderr
    assert not wire.packets(client.address(), 1, timeout=0.2)


def test_a_token_needs_no_privilege(lab, client, key, as_nobody):
    as_nobody("--key", key, "--door", "ssh", client.peer())
    wait_sent(lab, client, 16)


def test_somebody_elses_key_is_refused(client, key, as_nobody):
    os.chown(key, 65533, 65533)
    os.chmod(key, 0o644)
    done = as_nobody("--key", key, "--door", "ssh", client.peer(), check=False)
    assert (done.returncode, done.stderr) == (
        2, f"knocktap: {key}: it belongs to another user\n")


@pytest.mark.parametrize("bits", [0o640, 0o604, 0o660, 0o620, 0o601])
def test_a_key_that_others_can_reach_is_refused(bits, lab, client, tap, key):
    key.chmod(bits)
    done = tap("--key", key, "--door", "ssh", client.peer(), check=False)
    assert done.returncode == 2
    assert done.stderr == f"knocktap: {key}: others may read or write it: chmod 600 it\n"


@pytest.mark.parametrize("content", [
    b"", b"\n", LINE[:-2].encode(), LINE.encode() * 2, LINE.encode() + b"\n", b" " + LINE.encode(),
    oracle.key_line(SECRET + b"x").encode(), oracle.key_line(SECRET[1:]).encode(), SECRET,
    oracle.key_line(SECRET, "Capitals").encode(), LINE.split()[-1].encode(), b"\0" * 60,
    b"x" * 100000])
def test_a_file_with_anything_but_a_key_is_refused(content, client, tap, key):
    key.write_bytes(content)
    done = tap("--key", key, "--door", "ssh", client.peer(), check=False)
    assert done.returncode == 2
    assert done.stderr.startswith(f"knocktap: {key}: it ")
    assert LINE.split()[-1][:10] not in done.stderr


@pytest.mark.parametrize("words", [
    ("-W", "x\x1b]0;evil\a:22"), ("\x1b[2J", "x"), ("--timeout", "\x9b2J", "host"),
    ("--key", "\x1b]0;evil\a", "--door", "ssh", "192.0.2.1")])
def test_nothing_steers_the_terminal(words, client, tap):
    """ssh passes names on that strangers may have chosen."""
    done = tap(*words, check=False)
    assert done.returncode in (1, 2) and done.stderr.startswith("knocktap: ")
    assert not set(done.stderr) & set("\x1b\a\x9b"), repr(done.stderr)


def test_a_key_that_has_expired_is_refused(client, tap, key):
    key.write_text(f"{LINE.strip()}\nsince 2020-01-01\nexpires 2020-02-01\n", encoding="ascii")
    done = tap("--key", key, "--door", "ssh", client.peer(), check=False)
    assert (done.returncode, done.stderr) == (
        2, f"knocktap: {key}: it expired on 2020-02-01: ask for a new one (knocktail keygen --rotate)\n")


def test_the_first_of_two_keys_is_the_one(lab, client, tap, key):
    """The key before is the server's business."""
    key.write_text(f"{LINE.strip()}\nexpires 2099-01-01\n"
                   f"{oracle.key_line(b'x' * 32).strip()}\nexpires 2020-02-01\n", encoding="ascii")
    tap("--key", key, "--door", "ssh", client.peer())


def test_a_key_is_a_file(client, tap, tmp_path):
    os.mkfifo(tmp_path / "fifo", 0o600)
    for path, complaint in ((tmp_path, "Is a directory"), (tmp_path / "fifo", "not a regular file"),
                            (tmp_path / "none", "No such file or directory")):
        done = tap("--key", path, "--door", "ssh", client.peer(), check=False, timeout=5)
        assert done.returncode == 2
        assert str(path) in done.stderr


@pytest.fixture
def keys(lab):
    """The server's side: a directory with alice's key, as a line of the configuration."""
    directory = f"/run/lab/keys-{next(lab.numbers)}"
    os.mkdir(lab.server.path(directory), 0o750)
    path = lab.server.path(f"{directory}/alice.key")
    with open(path, "w", encoding="ascii") as file:
        file.write(LINE)
    os.chmod(path, 0o640)
    for name in (directory, f"{directory}/alice.key"):
        os.chown(lab.server.path(name), 0, DAEMON_UID)
    return f"keys = {directory}\nrealm = {oracle.REALM}"


def keyed_door(auth, **words):
    """A door that alice's key opens."""
    return ipset_door(sequence=None, seq_timeout=None, auth=auth, users="alice", **words)


@pytest.mark.parametrize("version", [4, 6], ids=["IPv4", "IPv6"])
@pytest.mark.parametrize("how", [[], ["--spa"]], ids=["token", "SPA"])
def test_a_bound_door_opens_for_the_right_source(how, version, client, start, tap, key, keys):
    daemon = start(keyed_door("token, spa", bind_source="yes"), keys)
    command = [*how, "--key", key, "--door", "ssh", "--wait", 22, client.peer(version)]
    # The token is complete, but not that of this address: it is no token at all.
    for source in ("none", client.peer(version)):
        done = tap("--source", source, "--timeout", "300ms", *command, check=False)
        assert done.returncode == 1
    tap("--source", "auto", *command)
    daemon.wait_message("opened", USER="alice", SOURCE=client.address(version))


@pytest.mark.parametrize("how", [[], ["--spa"]], ids=["token", "SPA"])
def test_both_families_at_once(how, client, start, key, keys, tmp_path):
    daemon = start(keyed_door("token, spa", timeout="20s"), keys)
    in_hosts_file(client, "".join(f"{client.peer(version)} gateway.test\n" for version in (4, 6)),
                  [program("knocktap"), *how, "--both", "--source", "none", "--key", key, "--door",
                   "ssh", "--wait", 22, "gateway.test"], tmp_path)
    for version in (4, 6):
        client.wait_open(version=version)
        daemon.wait_message("opened", SOURCE=client.address(version))
        assert len(daemon.events(SOURCE=client.address(version))) == 1


@pytest.mark.parametrize("source", ["none", "auto"])
def test_all_addresses_get_the_same_request(source, lab, client, key, wire, tmp_path):
    """What one of them has heard is used up where it opens."""
    lab.server.ip("address add 192.0.2.77/24 dev eth0")
    try:
        in_hosts_file(client, "192.0.2.1 gateway.test\n192.0.2.77 gateway.test\n",
                      [program("knocktap"), "--spa", "--source", source, "--key", key, "--door",
                       "ssh", "gateway.test"], tmp_path)
        (to, one), (other_to, other) = wire.packets(client.v4, 2)
    finally:
        lab.server.ip("address del 192.0.2.77/24 dev eth0")
    assert to != other_to and one[20:] == other[20:]


def test_the_time_that_is_asked_for(lab, client, start, tap, key, keys):
    start(keyed_door("spa", timeout="5s", max_timeout="100s"), keys)
    for asked, least, most in (("60s", 6, 60), ("2h", 61, 100)):
        tap("--spa", "--time", asked, "--key", key, "--door", "ssh", client.peer())
        wait_until(lambda: least <= lab.members().get(client.address(), 0) <= most, 3,
                   f"the door is open for {most} s at most")


# Profiles


@pytest.fixture
def home(tmp_path, key):
    """A home with profiles, and the environment that leads there."""
    directory = tmp_path / "home" / ".config" / "knocktail"
    directory.mkdir(parents=True)
    os.rename(key, directory / "gateway.key")

    def write(text, mode=0o600):
        (directory / "hosts").write_text(text)
        (directory / "hosts").chmod(mode)
        return {"HOME": str(tmp_path / "home")}
    write.file = directory / "hosts"
    return write


@pytest.mark.parametrize("key_path", ["gateway.key", "~/.config/knocktail/gateway.key"])
def test_the_name_of_a_profile_is_enough(key_path, lab, client, tap, home):
    env = home(f"Host vps\n HostName {client.peer()}\n Knock token\n Key {key_path}\n Door ssh\n")
    began = time.time()
    tap("vps", env=env)
    ports = {port for _, port, _ in wait_sent(lab, client, 16)}
    assert ports in possible_tokens("ssh", began, client.v4)


def test_the_command_line_goes_before_the_profile(lab, client, tap, home):
    env = home(f"Host vps\n HostName {client.peer()}\n Knock sequence\n Sequence 7000 7001\n")
    tap("vps", "7100", "7101/udp", env=env)
    began = time.time()
    # Who names a key does not want a sequence sent in the clear.
    tap("--key", home.file.parent / "gateway.key", "--door", "web", "vps", env=env)
    packets = wait_sent(lab, client, 18)
    assert [port for _, port, _ in packets[:2]] == [7100, 7101]
    assert {port for _, port, _ in packets[2:]} in possible_tokens("web", began, client.v4)


def test_a_wrong_profile_sends_nothing(lab, client, tap, home):
    env = home(f"Host vps\n HostName {client.peer()}\n Sequence 7000\nHost other\n Colour red\n")
    done = tap("vps", env=env, check=False)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == f"{home.file}:5: error: unknown keyword Colour\n"
    done = tap("vps", env=home(home.file.read_text().replace("Colour red", ""), 0o620), check=False)
    assert done.returncode == 2
    assert str(home.file) in done.stderr and "chmod" in done.stderr
    client.hit(7999)
    assert [port for _, port, _ in wait_sent(lab, client, 1)] == [7999]


def test_a_file_that_is_named_must_be_there(client, tap, tmp_path):
    done = tap("-F", tmp_path / "none", client.peer(), 7000, check=False)
    assert (done.returncode, done.stderr) == (
        2, f"knocktap: {tmp_path}/none: No such file or directory\n")
    tap(client.peer(), 7000, env={"HOME": str(tmp_path)})


@pytest.mark.parametrize("words, complaint", [
    ((), "no host"),
    (("HOST",), "no ports to knock at"),
    (("HOST", "0"), "expected PORT, PORT/udp or PORT:udp"),
    (("HOST", "7000/icmp"), "expected PORT, PORT/udp or PORT:udp"),
    (("HOST", *["7000"] * 33), "more than 32 ports"),
    (("-4", "-d", "1s", "HOST", "7000"), "expected milliseconds"),
    (("-u", "HOST"), "--udp without ports does nothing"),
    (("--spa", "HOST", "7000"), "cannot be combined"),
    (("--spa", "HOST"), "no key"),
    (("--key", "KEY", "HOST"), "no door"),
    (("--key", "KEY", "--door", "-ssh", "HOST"), "expected a door's name"),
    (("--key", "KEY", "--door", "ssh", "HOST", "7000"),
     "--key does nothing here: it is for knocks without ports"),
    (("--key", "KEY", "--door", "ssh", "--time", "10s", "HOST"),
     "--time does nothing here: it is for --spa"),
    (("--key", "KEY", "--door", "ssh", "--spa", "-d", "1", "HOST"),
     "--delay does nothing here: it is for several packets"),
    (("--source", "auto", "HOST", "7000"),
     "--source does nothing here: it is for knocks without ports"),
    (("--timeout", "1s", "HOST", "7000"), "--timeout does nothing here: it is for --wait and -W"),
    (("--wait", "22", "-W", "HOST:22", "HOST", "7000"),
     "--wait does nothing here: it is for use without -W"),
    (("--wait", "0", "HOST", "7000"), "expected a port from 1 to 65535"),
    (("--source", "me", "HOST", "7000"), "expected an address, auto or none"),
    (("-W", "HOST", "HOST", "7000"), "expected HOST:PORT"),
    (("--colour", "HOST", "7000"), "unrecognized option"),
    (("", "7000"), "expected the name of a host"),
])
def test_misuse_sends_nothing(words, complaint, lab, client, tap, key):
    names = {"HOST": client.peer(), "KEY": key, "HOST:22": f"{client.peer()}:22"}
    done = tap(*(names.get(word, word) for word in words), check=False)
    assert done.returncode == 2
    assert complaint in done.stderr
    assert sent(lab, client) == []


def test_help_and_version(client, tap):
    done = tap("--help")
    assert done.stdout.startswith("Usage: knocktap ") and done.stderr == ""
    assert re.fullmatch(r"knocktap \d+\.\d+\.\d+\n", tap("--version").stdout)


# Going in


def relay(client, *arguments, port=22, version=4, **kwargs):
    """Starts knocktap -W."""
    kwargs = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE,
              **kwargs}
    host = f"[{client.peer(6)}]" if version == 6 else client.peer()
    return client.popen([program("knocktap"), "-W", f"{host}:{port}", *arguments], **kwargs)


@pytest.mark.parametrize("version", [4, 6], ids=["IPv4", "IPv6"])
def test_data_passes_both_ways(version, client, start):
    start(ipset_door(timeout="10s"))
    host = client.peer(version)
    process = relay(client, host, "7000", "8000", "9000", version=version)
    lines = b"".join(b"line %d\n" % i for i in range(100000))
    out, err = process.communicate(lines, timeout=20)
    assert (process.returncode, err) == (0, b"")
    assert out == b"hello from port 22\n" + lines


def test_the_end_of_the_input_is_passed_on_and_the_rest_still_comes(lab, client, start):
    """Half-closed: the server answers when it has seen the end."""
    start(iptables_door(ports="2250/tcp", timeout="10s"))
    server = lab.server.spawn(
        ["socat", "tcp-listen:2250,reuseaddr", "system:wc -c; echo goodbye"])
    wait_until(lambda: ":2250" in lab.server.run("ss", "-Hltn").stdout, 5, "socat listens")
    process = relay(client, client.peer(), "7000", "8000", "9000", port=2250)
    out, err = process.communicate(b"x" * 300000, timeout=20)
    assert (process.returncode, err) == (0, b"")
    assert out.split() == [b"300000", b"goodbye"]
    server.wait(5)


def test_the_end_of_the_output_is_passed_on_while_the_input_goes_on(lab, client, start):
    """The other half: the server ends first and goes on reading."""
    start(iptables_door(ports="2251/tcp", timeout="10s"))
    code = ("import socket, sys; s = socket.create_server(('', 2251)).accept()[0]; "
            "s.shutdown(socket.SHUT_WR); "
            "print(len(b''.join(iter(lambda: s.recv(65536), b''))), flush=True)")
    server = lab.server.spawn(["/usr/bin/python3", "-c", code], stdout=subprocess.PIPE)
    wait_until(lambda: ":2251" in lab.server.run("ss", "-Hltn").stdout, 5, "the server listens")
    process = relay(client, client.peer(), "7000", "8000", "9000", port=2251)
    assert select.select([process.stdout], [], [], 10)[0] and process.stdout.read(1) == b"", (
        "the output has ended")
    process.stdin.write(b"x" * 100000)
    process.stdin.close()
    assert server.stdout.readline() == b"100000\n"
    assert process.wait(5) == 0
    server.stdout.close()
    process.stdout.close()
    process.stderr.close()


def test_a_reader_that_goes_away_ends_it(client, start):
    """Its last words, already written, still reach the server: ssh says goodbye like this."""
    daemon = start(iptables_door(ports="2252/tcp", timeout="10s"))
    server = daemon.lab.server.spawn(["socat", "-u", "tcp-listen:2252,reuseaddr", "-"],
                                     stdout=subprocess.PIPE)
    wait_until(lambda: ":2252" in daemon.lab.server.run("ss", "-Hltn").stdout, 5, "socat listens")
    process = relay(client, "-v", client.peer(), "7000", "8000", "9000", port=2252)
    for line in process.stderr:
        if b"accepts" in line:
            break
    process.send_signal(signal.SIGSTOP)
    process.stdin.write(b"goodbye\n" * 7000)
    process.stdin.flush()
    process.stdout.close()
    process.send_signal(signal.SIGCONT)
    assert process.wait(5) == 0
    assert server.stdout.read() == b"goodbye\n" * 7000
    assert process.stderr.read() == b""
    process.stdin.close()
    process.stderr.close()
    server.stdout.close()


@pytest.mark.parametrize("closed", ["<&-", ">&-", "<&- >&-", "<&- >&- 2>&-"])
def test_closed_standard_files_are_nobody_elses(closed, client, start):
    """Neither is the connection copied to itself, nor does a complaint go into it."""
    daemon = start(iptables_door(ports="2253/tcp", timeout="10s"))
    code = ("import socket; s = socket.create_server(('', 2253)).accept()[0]; "
            "s.sendall(b'hello\\n'); "
            "print(b''.join(iter(lambda: s.recv(65536), b'')), flush=True)")
    server = daemon.lab.server.spawn(["/usr/bin/python3", "-c", code], stdout=subprocess.PIPE)
    wait_until(lambda: ":2253" in daemon.lab.server.run("ss", "-Hltn").stdout, 5, "it listens")
    done = client.run("sh", "-c", f'exec "$@" {closed}', "sh", program("knocktap"),
                      "-W", f"{client.peer()}:2253", client.peer(), "7000", "8000", "9000",
                      timeout=10)
    assert server.stdout.readline() == b"b''\n"
    assert done.stdout == ("" if ">&-" in closed.split() else "hello\n")
    server.wait(5)
    server.stdout.close()


def test_an_output_that_takes_no_more_is_an_error(client, start):
    start(ipset_door(timeout="10s"))
    with open("/dev/full", "wb") as full:
        process = relay(client, client.peer(), "7000", "8000", "9000", stdout=full)
        _, err = process.communicate(b"", timeout=10)
    assert (process.returncode, err) == (
        1, b"knocktap: connection lost: No space left on device\n")


def test_without_a_door_there_is_no_connection(client, start):
    start(ipset_door())
    process = relay(client, "--timeout", "300ms", client.peer(), "7000", "9000")
    out, err = process.communicate(b"", timeout=10)
    assert (process.returncode, out) == (1, b"")
    assert b"cannot connect to port 22" in err


def test_the_knock_may_be_at_another_host(lab, client, start):
    """At a gateway, say: what comes after -W is where to connect, over a family that leads there."""
    start(ipset_door())
    lab.server.ip("address add 192.0.2.78/24 dev eth0")
    try:
        process = client.popen(
            [program("knocktap"), "-W", "192.0.2.78:22", client.peer(), "7000", "8000", "9000"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        out, err = process.communicate(b"", timeout=10)
        assert (process.returncode, out, err) == (0, b"hello from port 22\n", b"")
        assert {address for _, _, address in sent(lab, client)} == {client.peer()}
    finally:
        lab.server.ip("address del 192.0.2.78/24 dev eth0")


SSHD_PORT = 2260

SSHD_CONFIG = """\
Port {port}
HostKey {directory}/host_key
PidFile none
AuthorizedKeysFile {directory}/authorized_keys
StrictModes no
UsePAM no
PasswordAuthentication no
"""


@pytest.fixture
def sshd(lab, needs):
    """A real sshd in the server, and the words that an ssh needs to log in."""
    needs("sshd", "ssh", "ssh-keygen")
    directory = f"/run/lab/ssh-{next(lab.numbers)}"
    lab.server.run("mkdir", "-p", "-m", "700", directory, "/run/sshd")
    for key in ("host_key", "user_key"):
        lab.server.run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", f"{directory}/{key}")
    lab.server.run("cp", f"{directory}/user_key.pub", f"{directory}/authorized_keys")
    config = lab.file(f"sshd-{next(lab.numbers)}.conf",
                      SSHD_CONFIG.format(port=SSHD_PORT, directory=directory))
    errors = lab.server.path(f"{directory}/errors")
    with open(errors, "wb") as file:
        process = lab.server.spawn(["/usr/sbin/sshd", "-D", "-e", "-f", config], stderr=file)
    wait_until(lambda: f":{SSHD_PORT}" in lab.server.run("ss", "-Hltn").stdout, 5, "sshd listens")
    yield ["ssh", "-F", "none", "-o", "BatchMode=yes", "-o", "StrictHostKeyChecking=no",
           "-o", "UserKnownHostsFile=/dev/null", "-o", "LogLevel=ERROR",
           "-i", lab.server.path(f"{directory}/user_key"), "-p", str(SSHD_PORT)]
    os.kill(process.pid, signal.SIGTERM)
    process.wait(5)
    with open(errors, encoding="utf-8", errors="replace") as file:
        print(f"sshd said:\n{file.read()}")


@pytest.mark.parametrize("knock, version", [("sequence", 4), ("sequence", 6), ("token", 4),
                                            ("spa", 6)])
def test_ssh_goes_in_through_it(knock, version, client, start, sshd, keys, home):
    """ProxyCommand knocktap -W %h:%p, with a profile that says how to knock."""
    words = {"sequence": "7000, 8000/udp"} if knock == "sequence" else {
        "sequence": None, "seq_timeout": None, "auth": knock, "users": "alice"}
    daemon = start(iptables_door(ports=f"{SSHD_PORT}/tcp", timeout="3s", **words), keys)
    env = home(f"Host {client.peer(version)}\n Knock {knock}\n" +
               (" Sequence 7000 8000/udp\n" if knock == "sequence" else
                " Key gateway.key\n Door ssh\n"))
    proxy = f"ProxyCommand={program('knocktap')} -W %h:%p"
    done = client.run(*sshd, "-o", "ProxyCommand=none", "-o", "ConnectTimeout=1",
                      f"root@{client.peer(version)}", "true", check=False)
    assert done.returncode == 255, "the door is shut"
    done = client.run(*sshd, "-o", proxy, f"root@{client.peer(version)}", "cat; echo out; exit 7",
                      input="in" * 100000, check=False, env=env)
    assert (done.returncode, done.stdout, done.stderr) == (7, "in" * 100000 + "out\n", "")
    daemon.wait_message("opened", DOOR="ssh", SOURCE=client.address(version))


def test_a_relay_that_waits_does_not_spin(client, start):
    """An hour of ssh must not cost an hour of processor: not with one half closed either."""
    start(ipset_door(timeout="10s"))
    process = relay(client, client.peer(), "7000", "8000", "9000")
    assert process.stdout.readline() == b"hello from port 22\n"

    def cpu_ticks():
        with open(f"/proc/{process.pid}/stat", encoding="ascii") as file:
            fields = file.read().rpartition(") ")[2].split()
        return int(fields[11]) + int(fields[12])

    before = cpu_ticks()
    for i in range(20):
        process.stdin.write(b"%d\n" % i)
        process.stdin.flush()
        assert process.stdout.readline() == b"%d\n" % i
        assert not client.can_connect(port=7999, timeout=0.02)
    assert cpu_ticks() - before < 10
    process.stdin.close()
    assert process.wait(5) == 0
    process.stdout.close()
    process.stderr.close()
