"""Where the firewall logs what comes to the ports that keyed knocks are expected at, nobody keeps
these out of the log, and a scanner leaves hardly a trace."""

import random
import re
import time

import pytest

import oracle
from firewalls import Iptables, Nft
from flood import Flood
from hosts import wait_until
from lab import Lab
from test_keyed_knocks import Keys, send, send_spa, send_token, spa, token

N_PROBES = 10000
N_KNOCKS = 3    # of each kind
LOOK = 8        # the daemon looks at the set every few seconds


class Guard:
    """A laboratory with the rules that `knocktail rules` prints for doors that keys open."""

    def __init__(self, lab, kind, auth="token, spa", **more):
        self.lab, self.kind = lab, kind
        self.keys = Keys(lab, "alice")
        self.doors = re.sub("sequence = .*\nseq_timeout = .*\n", "", kind.doors).replace(
            "3s", "60s") + f"auth = {auth}\nusers = *\n" + "".join(
                f"{key} = {value}\n" for key, value in more.items())
        self.daemon = None

    def load(self, options=""):
        """Loads the rules."""
        self.kind.load(self.lab, self.lab.config(self.doors, self.keys.options + options))

    def start(self, options=""):
        """Starts the daemon, and waits until the set is as it should be."""
        self.daemon = self.lab.daemon(self.doors, self.keys.options + options)
        self.knows(*token(self.keys.key["alice"]))
        return self.daemon

    def members(self):
        """The ports that are in the set."""
        if isinstance(self.kind, Iptables):
            return [int(port) for port in self.lab.members("knocktail_expected")]
        listed = self.lab.server.run("nft", "list", "set", "inet", "knock", "knocktail_expected")
        return [int(port) for port in re.findall(r"(\d+) timeout", listed.stdout)]

    def knows(self, *ports):
        """Waits until all of the ports are in the set."""
        wait_until(lambda: set(ports) <= set(self.members()), LOOK, f"{ports} are in the set")

    def admin(self, ipset, nft):
        """Runs what an administrator types, for one firewall or the other."""
        for line in (ipset if isinstance(self.kind, Iptables) else nft).splitlines():
            self.lab.server.run(*line.split())

    def knock(self, client, how, version=4, key="alice"):
        """Knocks as knocktap does: each packet of a token twice."""
        source = client.address(version) if how.startswith("bound") else None
        if how.endswith("token"):
            ports = token(self.keys.key[key], source=source, version=version)
            random.shuffle(ports)
            for _ in range(2):
                send_token(client, ports, version)
                time.sleep(0.05)
            return ports
        knock = spa(self.keys.key[key], source=source)
        send_spa(client, knock, version)
        return knock

    def gets_in(self, how, version=4, key="alice"):
        """Somebody new knocks, and gets in. A token is good once in 30 seconds."""
        client = self.lab.client()
        if how == "bound token":    # its second half is late if the journal is
            wait_until(lambda: self.knock(client, how, version, key) and
                       client.can_connect(version=version), 3, "the token opens")
        else:
            self.knock(client, how, version, key)
            client.wait_open(version=version)
        return client


@pytest.fixture(params=[Iptables, Nft], ids=lambda kind: kind.__name__)
def kind(possible, request):
    return request.param()


@pytest.fixture
def guard(kind):
    with Lab("none") as lab:
        guard = Guard(lab, kind)
        guard.load()
        guard.start()
        yield guard


WAYS = [(how, version) for how in ("token", "bound token", "spa", "bound spa") for version in (4, 6)]


@pytest.mark.parametrize("how, version", WAYS)
def test_each_kind_of_knock_gets_in(how, version, guard):
    client = guard.gets_in(how, version)
    guard.daemon.wait_message("opened", SOURCE=client.address(version), USER="alice")
    assert "expected ports" not in guard.daemon.stderr()


def test_a_scanner_leaves_no_trace(guard):
    scanner = guard.lab.client()
    for send_all in (oracle.send_udp, oracle.send_tcp):
        ports = [random.randrange(1, 65536) for _ in range(N_PROBES // 2)]
        send_all(scanner.peer(), ports, make_socket=scanner.socket)
    guard.gets_in("spa")
    lines = guard.lab.records()
    print(f"{N_PROBES} probes, {len(guard.members())} ports expected, {len(lines)} lines")
    assert len(lines) < 50 + 1
    assert any(f" SRC={scanner.v4} " in line["MESSAGE"] for line in lines)


@pytest.mark.fills_the_kernel_log
@pytest.mark.parametrize("how, auth", [
    ("token", "token, spa"), ("bound token", "token, spa"), ("spa", "token, spa"),
    ("token", "token, spa, sequence\nsequence = 7000, 9000, 8000")],
    ids=["token", "bound token", "spa", "token-mixed"])
def test_a_spoofer_keeps_nobody_out(how, auth, kind):
    """They send in the person's name all that its limit lets through; a listener gets nothing."""
    with Lab("none") as lab:
        guard = Guard(lab, kind, auth)
        guard.load()
        guard.start()
        victim, thief, spoofer = lab.client(), lab.client(), lab.client()
        flood = Flood(spoofer, 200, 6, victim.v4)
        flood.start()
        begun = time.monotonic()
        wait_until(lambda: time.monotonic() - begun > 1, 2, "the person's share would be used up")
        knock = guard.knock(victim, how)
        if how == "bound token":
            guard.knock(victim, how)
        victim.wait_open()
        send(thief, "spa" if how == "spa" else "token", knock)
        guard.daemon.wait_message("opened", SOURCE=victim.v4)
        assert not thief.can_connect()
        flood.wait()


def test_a_set_that_is_emptied_is_filled_again(guard):
    guard.admin("ipset flush knocktail_expected", "nft flush set inet knock knocktail_expected")
    guard.knows(*token(guard.keys.key["alice"]))
    guard.gets_in("token")
    assert "expected ports" not in guard.daemon.stderr()


def test_a_set_that_is_made_again_is_filled(guard):
    """Meanwhile it is missed, which is said once."""
    guard.admin("iptables -F KNOCKTAIL_LOG\nip6tables -F KNOCKTAIL_LOG\n"
                "ipset destroy knocktail_expected", "nft flush ruleset")
    wait_until(lambda: "expected ports: " in guard.daemon.stderr(), LOOK, "it is missed")
    missed = guard.daemon.stderr().count("\n")
    begun = time.monotonic()
    wait_until(lambda: time.monotonic() - begun > LOOK, LOOK + 1, "it is looked for again")
    assert guard.daemon.stderr().count("\n") == missed
    if isinstance(guard.kind, Iptables):
        for program in ("iptables", "ip6tables"):
            guard.lab.server.run(program, "-F")
    guard.load()
    guard.knows(*token(guard.keys.key["alice"]))
    wait_until(lambda: "they are in the set" in guard.daemon.stderr(), 1, "that is said")
    guard.gets_in("token")


def test_a_set_that_comes_later(kind):
    with Lab("none") as lab:
        guard = Guard(lab, kind)
        guard.daemon = lab.daemon(guard.doors, guard.keys.options)
        wait_until(lambda: "expected ports: " in guard.daemon.stderr(), LOOK, "it is missed")
        guard.load()
        guard.knows(*token(guard.keys.key["alice"]))
        guard.gets_in("bound token")


def test_a_set_of_another_kind(kind):
    """It is named, nothing is put into it, and the doors open as the rules log knocks."""
    with Lab("none") as lab:
        guard = Guard(lab, kind)
        guard.admin("ipset create knocktail_expected hash:ip timeout 0",
                    "nft add table inet knock\n"
                    "nft add set inet knock knocktail_expected { type ipv4_addr ; flags timeout ; }")
        guard.daemon = lab.daemon(guard.doors, guard.keys.options)
        wait_until(lambda: "expected ports: " in guard.daemon.stderr(), LOOK, "it is reported")
        assert "knocktail_expected: not a set of ports" in guard.daemon.stderr()
        guard.admin("ipset destroy knocktail_expected", "nft delete table inet knock")
        guard.load()
        guard.knows(*token(guard.keys.key["alice"]))
        guard.gets_in("spa")
        assert guard.daemon.stderr().count("not a set of ports") == 1


def test_keys_that_come_and_go(guard):
    guard.keys.key["bob"] = guard.keys.make("bob")
    guard.daemon.reload()
    guard.knows(*token(guard.keys.key["bob"]))
    client = guard.gets_in("spa", key="bob")
    guard.daemon.wait_message("opened", SOURCE=client.v4, USER="bob")
    guard.keys.remove("bob")
    guard.daemon.reload()
    now = token(guard.keys.key["bob"], late=-90)
    guard.knows(*token(guard.keys.key["alice"], late=-30))
    assert not set(now) <= set(guard.members())


def test_too_many_keys(kind):
    """More than a fifth of all ports would be expected: the set is not used, and the rules log all."""
    with Lab("none") as lab:
        guard = Guard(lab, kind)
        for i in range(40):
            guard.keys.make(f"user{i}")
        options = "\nclock_skew = 5min"
        done = lab.knocktail("rules", kind.variant, "-c",
                             lab.config(guard.doors, guard.keys.options + options))
        assert done.returncode == 0 and "knocktail_expected" not in done.stdout
        assert "more than a tenth of all" in done.stderr
        guard.load(options)
        guard.daemon = lab.daemon(guard.doors, guard.keys.options + options)
        assert "more than a tenth of all: the set " in guard.daemon.stderr()
        guard.gets_in("token")
        guard.gets_in("spa", 6)


def test_a_clock_that_is_off(guard):
    """What comes too late is not expected any more; what may be too late is, as long as it is not."""
    client = guard.lab.client()
    send_token(client, token(guard.keys.key["alice"], late=100))
    send_token(client, token(guard.keys.key["alice"], late=29))
    client.wait_open()
    assert not guard.daemon.messages("refused")


def test_what_is_expected_is_logged_once(kind):
    """Where a door takes sequences, too, and all is logged."""
    with Lab("none") as lab:
        guard = Guard(lab, kind, "token, sequence\nsequence = 7000, 9000, 8000")
        guard.load()
        guard.start()
        client = lab.client()
        send_token(client, token(guard.keys.key["alice"]))
        client.wait_open()
        since = client.knock(7000, 9000, 8000)
        guard.daemon.wait_message("renewed", SOURCE=client.v4)
        assert since
        ports = [line["MESSAGE"].split(" DPT=")[1].split()[0] for line in lab.records()
                 if f" SRC={client.v4} " in line["MESSAGE"]]
        assert len(set(ports) - {"22"}) == len([port for port in ports if port != "22"]) == 11
