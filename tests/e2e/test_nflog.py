"""Where the kernel logs nothing: rules log by NFLOG, ulogd writes it to the journal, and who has
knocked so gets in. Local users who write such lines do not."""

import contextlib
import json
import os
import pwd
import shutil
import signal

import pytest

from doors import SENTINEL_KNOCK, ipset_door, nft_door
from hosts import ENVIRONMENT, wait_until
from lab import GUARDED_PORT, Lab
from machine import Unavailable, booted
from test_keyed_knocks import Keys, send_spa, send_token, spa, token

ULOGD = shutil.which("ulogd", path=ENVIRONMENT["PATH"])
GROUP = 5
STRANGER = 64101
KNOCK = (7000, "8000/udp", 9000)

# Debian's unit has it run as this user, which is what can be seen without a service manager.
LOG = """
[log container]
match = _UID={} SYSLOG_IDENTIFIER=ulogd
format = kernel
"""

# ulogd writes to /dev/log, which is the machine's own outside of this mount namespace.
START = f"""
mount -t tmpfs devices /dev
ln -s /run/systemd/journal/dev-log /dev/log
: >/dev/null
exec {ULOGD} "$@"
"""


class Nft:
    """Rules for nft."""

    variant = "nft"
    sets = {"set": "inet knock ssh", "set_6": "inet knock ssh6"}
    door = staticmethod(nft_door)

    @staticmethod
    def load(lab, rules):
        lab.server.run("nft", "-f", "-", input=rules(Nft.variant))


class Iptables:
    """Rules for iptables."""

    variant = "iptables"
    sets = {"set": "knock_ssh", "set_6": "knock_ssh6"}
    door = staticmethod(ipset_door)

    @staticmethod
    def load(lab, rules):
        lab.server.run("ipset", "restore", input=rules("ipset"))
        for program in ("iptables-restore", "ip6tables-restore"):
            lab.server.run(program, "--noflush", input=rules(Iptables.variant))


class Container:
    """A laboratory whose rules log by NFLOG to a ulogd."""

    def __init__(self, lab, kind):
        self.lab, self.kind = lab, kind
        self.user = pwd.getpwnam("ulog").pw_uid
        self.keys = Keys(lab, "alice")
        door = {"ports": GUARDED_PORT, "log": "container", "timeout": "3s", **kind.sets}
        both = {"auth": "sequence, token, spa", "users": "*"}
        self.doors = (kind.door("ssh", ", ".join(map(str, KNOCK)), **both, **door)
                      + kind.door("sentinel", ", ".join(map(str, SENTINEL_KNOCK)), **door)
                      + LOG.format(self.user))
        # A blank more, and more than the kernel's LOG takes of iptables.
        self.lab.prefix = f"{lab.prefix.strip()} by another way "
        self.config = lab.config(self.doors, self.options)
        kind.load(lab, self.rules)
        self.start_ulogd()

    @property
    def options(self):
        expected = "inet knock expected" if self.kind is Nft else "knock_expected"
        return f"{self.keys.options}\nexpected_ports = {expected}"

    def rules(self, variant, *options):
        """What `knocktail rules` prints."""
        nflog = () if variant == "ipset" else ("--nflog", GROUP)
        done = self.lab.knocktail("rules", variant, "-c", self.config, *nflog, *options)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def start_ulogd(self):
        """Starts it, with what is printed for it."""
        config = self.lab.file("ulogd.conf", self.rules(self.kind.variant, "--ulogd"))
        self.ulogd = self.lab.server.spawn(
            ["unshare", "--mount", "sh", "-ec", START, "sh", "-c", config, "--uid", "ulog"])
        wait_until(self._is_bound, 10, "ulogd listens")

    def end_ulogd(self):
        """Ends it."""
        os.kill(self.ulogd.pid, signal.SIGTERM)
        self.ulogd.wait(10)

    def _is_bound(self):
        bound = self.lab.server.run("cat", "/proc/net/netfilter/nfnetlink_log").stdout
        assert self.ulogd.poll() is None, "ulogd has ended"
        return any(line.split()[0] == str(GROUP) for line in bound.splitlines())

    def daemon(self):
        return self.lab.daemon(self.doors, self.options)

    def lines(self):
        """What ulogd has written, newest last."""
        return [entry["MESSAGE"] for entry in self.lab.journal(f"_UID={self.user}")
                if entry["MESSAGE"].startswith(self.lab.prefix)]


@pytest.fixture(scope="module", params=[Nft, Iptables], ids=lambda kind: kind.__name__)
def container(possible, request):
    if not ULOGD:
        pytest.skip("ulogd2 is not installed")
    with Lab("none") as lab:
        yield Container(lab, request.param)


@pytest.fixture
def lab(container):
    return container.lab


@pytest.fixture
def daemon(container):
    made = container.daemon()
    yield made
    made.close()


@pytest.fixture
def nothing_opened(clients):
    """As that of all: what was logged before an honest knock has been judged when that opens."""
    def check(daemon, suspect):
        honest = clients()
        honest.knock(*SENTINEL_KNOCK)
        honest.wait_open(timeout=4)
        for version in (4, 6):
            assert not daemon.events(SOURCE=suspect.address(version))
            assert not suspect.can_connect(version=version, timeout=0.1)
    return check


@pytest.mark.parametrize("version", [4, 6], ids=["IPv4", "IPv6"])
def test_a_sequence_opens(version, container, daemon, client, other):
    assert not client.can_connect(version=version)
    client.knock(*KNOCK, version=version)
    client.wait_open(version=version, timeout=4)
    assert not other.can_connect(version=version)
    daemon.wait_message("opened", SOURCE=client.address(version), DOOR="ssh")
    client.wait_closed(version=version, timeout=8)
    assert not container.lab.records()
    assert "this network namespace is not the host's" not in daemon.stderr()


@pytest.mark.parametrize("version", [4, 6], ids=["IPv4", "IPv6"])
def test_a_token_opens(version, container, daemon, client):
    send_token(client, token(container.keys.key["alice"], version=version), version)
    client.wait_open(version=version, timeout=4)
    daemon.wait_message("opened", SOURCE=client.address(version), USER="alice")


def test_an_spa_knock_is_not_in_it(container, daemon, client, nothing_opened):
    """Its TCP options are nowhere, as check says."""
    send_spa(client, spa(container.keys.key["alice"]))
    wait_until(lambda: any(f"SRC={client.v4} " in line for line in container.lines()), 4,
               "it is logged")
    assert not any("OPT" in line for line in container.lines())
    nothing_opened(daemon, client)
    done = container.lab.knocktail("check", "-c", container.config)
    assert done.returncode == 0
    assert ("log container: ulogd writes no TCP options, in which the SPA knocks of door ssh are"
            in done.stderr)


def test_what_others_forge_opens_nothing(container, daemon, client, other, lab, nothing_opened):
    """A local user writes ulogd's lines word for word, and those of the kernel."""
    other.knock(*KNOCK)
    other.wait_open(timeout=4)
    lines = [line for line in container.lines() if f"SRC={other.v4} " in line][:len(KNOCK)]
    assert len(lines) == len(KNOCK)
    for line in lines:
        line = line.replace(f"SRC={other.v4} ", f"SRC={client.v4} ")
        for writer in (("logger", "-u", "/run/systemd/journal/dev-log", "-t", "ulogd"),
                       ("systemd-cat", "-t", "ulogd", "echo")):
            lab.server.run("setpriv", f"--reuid={STRANGER}", f"--regid={STRANGER}",
                           "--clear-groups", *writer, line)
    lab.wait_logged(f"SRC={client.v4} ")
    nothing_opened(daemon, client)


def test_a_ulogd_of_others_opens_nothing(container, daemon, client, lab, nothing_opened):
    """A user has ulogd itself write such lines, of packets in a network namespace of their own:
    its name and its program are the same. They have no right but in namespaces that they made."""
    config = lab.file(f"ulogd-{next(lab.numbers)}.conf",
                      container.rules(container.kind.variant, "--ulogd"))
    rules = lab.file("forged.nft", f"""table inet knock {{
        chain input {{
            type filter hook input priority 0
            iif lo log prefix "{lab.prefix}" group {GROUP}
        }}
    }}\n""")
    script = lab.file("forge", f"""
        mount -t tmpfs devices /dev
        ln -s /run/systemd/journal/dev-log /dev/log
        : >/dev/null
        ip link set lo up
        ip address add {client.v4} dev lo
        ip address add 192.0.2.1 dev lo
        nft -f {rules}
        {ULOGD} -c {config} &
        /usr/bin/python3 -c 'import socket, time
for _ in range(20):
    for port, kind in ((7000, 1), (8000, 2), (9000, 1)):
        made = socket.socket(socket.AF_INET, kind)
        made.bind(("{client.v4}", 0))
        made.connect_ex(("192.0.2.1", port))
        if kind == 2:
            made.send(b"x")
    time.sleep(0.1)'
        kill $!
        wait""")
    done = lab.server.run(
        "setpriv", f"--reuid={STRANGER}", f"--regid={STRANGER}", "--clear-groups", "unshare",
        "--user", "--map-root-user", "--mount", "--net", "sh", "-e", script, check=False)
    if "unshare failed" in done.stderr:
        pytest.skip("users cannot make namespaces here")
    forged = [entry for entry in lab.journal(f"_UID={STRANGER}")
              if f"SRC={client.v4} DST=192.0.2.1 " in entry["MESSAGE"]
              and entry["MESSAGE"].startswith(lab.prefix)]
    assert {entry["SYSLOG_IDENTIFIER"] for entry in forged} == {"ulogd"}, done
    assert {entry["_EXE"] for entry in forged} == {os.path.realpath(ULOGD)}
    nothing_opened(daemon, client)


def test_doctor_follows_it(container, lab):
    def says():
        return lab.knocktail("doctor", "-c", container.config).stdout

    said = says()
    assert "net.netfilter.nf_log_all_netns" not in said
    assert "SPA knocks are in TCP's options, of which ulogd writes nothing" in said
    assert "is not logged" not in said and "no rule logs" not in said
    container.end_ulogd()
    try:
        assert (f"no program takes what is logged by NFLOG to the group {GROUP}: " in says())
    finally:
        container.start_ulogd()
    kernel = lab.config(container.doors.replace("log = container\n", ""), container.options)
    assert "no rule logs with the prefix" in lab.knocktail("doctor", "-c", kernel).stdout
    with open(lab.server.path(container.config), encoding="utf-8") as file:
        text = file.read().replace(lab.prefix, "[another] ")
    other = lab.file("another.conf", text, 0o600)
    assert ('no rule logs by NFLOG with the prefix "[another] "'
            in lab.knocktail("doctor", "-c", other).stdout)


def test_what_it_prints(container):
    alone = container.rules(container.kind.variant, "--ulogd")
    rules = container.rules(container.kind.variant)
    comment = [line[1:].removeprefix("\t") for line in rules.splitlines() if line.startswith("#")]
    assert alone.strip() in "\n".join(comment)


@pytest.mark.parametrize("options, problem", [
    (("nft", "--nflog", "0"), "'0' is not a group of NFLOG: 1 to 65535"),
    (("nft", "--nflog", "65536"), "'65536' is not a group of NFLOG"),
    (("nft", "--nflog", "five"), "'five' is not a group of NFLOG"),
    (("ipset", "--nflog", "5"), "--nflog is for rules that log"),
    (("nft", "--nflog", "5", "--remove"), "--nflog is for rules that log"),
    (("nft", "--ulogd"), "--ulogd goes with --nflog"),
    (("nft", "--nflog", "5", "--ulogd", "--apply"), "--ulogd prints"),
])
def test_what_it_cannot_be(options, problem, container):
    done = container.lab.knocktail("rules", *options, "-c", container.config)
    assert done.returncode == 2 and problem in done.stderr, done
    assert not done.stdout


def test_rules_that_log_elsewhere_than_the_door_looks(container, lab):
    kernel = container.doors.replace("log = container\n", "")
    done = lab.knocktail("rules", container.kind.variant, "--nflog", GROUP, "-c",
                         lab.config(kernel, container.options))
    assert done.returncode == 1 and not done.stdout
    assert "door ssh: its probes come from the kernel's log, to which rules" in done.stderr
    if container.kind is Iptables:      # whose LOG does not take such a prefix
        return
    done = lab.knocktail("rules", container.kind.variant, "-c", container.config)
    assert done.returncode == 0
    assert ("door ssh: its probes come from the log container, to which these rules write nothing "
            "without --nflog") in done.stderr


def test_a_prefix_that_is_too_long(container, lab):
    config = lab.server.path(lab.config(container.doors, container.options))
    with open(config, encoding="utf-8") as file:
        text = file.read().replace(lab.prefix, "x" * 64)
    path = lab.file("long.conf", text, 0o600)
    done = lab.knocktail("rules", container.kind.variant, "--nflog", GROUP, "-c", path)
    if container.kind is Iptables:
        assert done.returncode == 1
        assert "log_prefix is longer than the 63 characters that iptables takes" in done.stderr
    else:
        assert done.returncode == 0, done.stderr


def test_debians_service_opens_and_its_user_does_not(possible):
    """The page's configuration, with ulogd as its package has it: its unit is believed, and nobody
    else, not even its user."""
    with Lab("none") as lab:
        try:
            machine = booted(lab, "ulogd2", "bsdutils")
        except Unavailable as reason:
            pytest.skip(f"no machine: {reason}")
        try:
            _knock_at_service(lab, machine)
        finally:
            machine.close()


def _knock_at_service(lab, machine):
    keys = {"log": "container", "timeout": "3s", "ports": GUARDED_PORT, **Nft.sets}
    machine.configure(nft_door("ssh", ", ".join(map(str, KNOCK)), **keys) + """
[log container]
match = _SYSTEMD_UNIT=ulogd2.service SYSLOG_IDENTIFIER=ulogd
format = kernel
""")
    machine.run("sh", "-ec", f"""
        knocktail rules nft --nflog {GROUP} --ulogd >/etc/ulogd.conf
        knocktail rules nft --nflog {GROUP} --install
        nft -f /etc/knocktail/firewall/rules.nft
        systemctl restart ulogd2 knocktaild""")
    with contextlib.ExitStack() as stack:
        client, forged = lab.client(), lab.client()
        stack.callback(client.close)
        stack.callback(forged.close)
        assert not client.can_connect()
        client.knock(*KNOCK)
        client.wait_open(timeout=6)
        lines = [line for line in machine.journal("ulogd2").splitlines()
                 if line.startswith(lab.prefix) and f"SRC={client.v4} " in line
                 and f" DPT={GUARDED_PORT} " not in line]
        assert len(lines) == len(KNOCK), lines
        for line in lines:
            machine.run("setpriv", "--reuid=ulog", "--regid=ulog", "--clear-groups", "logger", "-t",
                        "ulogd", line.replace(client.v4, forged.v4))
        client.wait_closed(timeout=8)
        client.knock(*KNOCK)
        client.wait_open(timeout=6)
        opened = machine.journal("knocktaild")
        assert f"for {client.v4}" in opened and f"for {forged.v4}" not in opened, opened
    found = json.loads(machine.run("knocktail", "doctor", "-o", "json", check=False).stdout)
    said = {finding["check"]: finding for finding in found["findings"]}
    assert said["log"]["level"] == "ok", said["log"]
    assert said["records"]["level"] == "ok", said["records"]
    assert "knocktail rules" not in (said["boot"].get("advice") or ""), said["boot"]
