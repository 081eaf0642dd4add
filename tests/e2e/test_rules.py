"""`knocktail rules`: what it prints is a firewall, and what it loads it takes back."""

import json
import os
import pty
import signal
import time

import pytest

from doors import command_door, ipset_door, iptables_door, nft_door
from firewalls import KINDS, Firewalld, Iptables, Nft, Ufw
from hosts import wait_until
from lab import DAEMON_UID, GUARDED_PORT, Lab


@pytest.fixture(params=KINDS, ids=lambda kind: kind.__name__)
def firewall_kind(request):
    return request.param()


def test_what_it_prints_lets_in_who_has_knocked(firewall):
    kind, lab = firewall
    config = lab.config(kind.doors)
    kind.load(lab, config)
    client, other = lab.client(), lab.client()
    daemon = lab.daemon(kind.doors)
    for version in (4, 6):
        assert not client.can_connect(version=version)
        since = client.knock(7000, 8000, 9000, version=version)
        opened = client.wait_open(version=version, since=since)
        assert not other.can_connect(version=version)
        assert client.wait_closed(version=version, timeout=6) - opened < 5
    daemon.stop()


class Apply:
    """`knocktail rules --apply` on a terminal of its own."""

    def __init__(self, lab, variant, config, *options):
        self._lab = lab
        self._terminal, other = pty.openpty()
        argv = ["setsid", "--ctty", lab.cli_path, "rules", variant, "-c", config, "--apply",
                *options]
        self.process = lab.server.spawn(argv, stdin=other, stdout=other, stderr=other)
        os.close(other)
        self.said = ""

    def wait(self, text, timeout=30):
        """Waits until the terminal shows a text."""
        def shown():
            try:
                self.said += os.read(self._terminal, 4096).decode()
            except OSError:
                return True
            return text in self.said
        os.set_blocking(self._terminal, True)
        wait_until(shown, timeout, f"the terminal shows {text!r}")
        assert text in self.said, self.said

    def type(self, text):
        """Types."""
        os.write(self._terminal, text.encode())

    def hang_up(self):
        """The terminal goes away."""
        os.close(self._terminal)
        self._terminal = None

    def close(self):
        """Leaves nothing behind."""
        if self._terminal is not None:
            os.close(self._terminal)


def confirmed(apply, kind, lab):
    apply.type("yes\n")
    assert apply.process.wait(30) == 0
    return True


def refused(apply, kind, lab):
    apply.type("no\n")
    assert apply.process.wait(30) == 1


def not_confirmed(apply, kind, lab):
    apply.wait("taken back")
    assert apply.process.wait(30) == 1


def terminal_lost(apply, kind, lab):
    apply.hang_up()


def killed(apply, kind, lab):
    os.kill(apply.process.pid, signal.SIGKILL)


def knocked(apply, kind, lab):
    """A door that opens for a knock is as good as a yes."""
    assert "knocktaild does not run" in apply.said
    daemon = lab.daemon(kind.doors)
    client = lab.client()
    apply.type("knock\n")
    apply.wait("Knock now")
    since = client.knock(7000, 8000, 9000)
    client.wait_open(since=since)
    apply.wait(f"opened for {client.address(4)}")
    assert apply.process.wait(30) == 0
    assert daemon.stop() == 0
    return True


ENDS = [knocked, confirmed, refused, not_confirmed, terminal_lost, killed]


@pytest.mark.parametrize("kind", [Iptables, Nft, Ufw, Firewalld], ids=lambda kind: kind.__name__)
def test_what_it_loads_it_takes_back(possible, kind):
    kind = kind()
    with Lab("none") as lab:
        kind.start(lab)
        config = lab.config(kind.doors)
        client = lab.client()
        before = kind.state(lab)
        was_open = client.can_connect()
        for end in reversed(ENDS):
            span = "1s" if end is not_confirmed else "60s"
            apply = Apply(lab, kind.variant, config, "--confirm-within", span)
            apply.wait("Type yes")
            if end is not not_confirmed:    # it may be over before we have looked
                loaded = kind.state(lab)
                assert loaded != before
                assert not client.can_connect()
            stays = end(apply, kind, lab)
            if stays:
                assert kind.state(lab) == loaded
                assert not client.can_connect()
                assert f'"{lab.prefix}"' in "\n".join(kind.state(lab))
            else:
                wait_until(lambda: kind.state(lab) == before, 20, "all is as it was")
                assert client.can_connect() == was_open
            apply.close()


def test_a_knock_confirms_without_a_word(possible):
    """As whoever has nobody at the terminal wants it: and no knock is no confirmation."""
    kind = Nft()
    with Lab("none") as lab:
        daemon = lab.daemon(kind.doors)
        client = lab.client()
        before = kind.state(lab)
        for knocks, span in ((False, "2s"), (True, "60s")):
            apply = Apply(lab, "nft", lab.config(kind.doors), "--confirm-by-knock",
                          "--confirm-within", span)
            apply.wait("Knock, within")
            if knocks:
                client.wait_open(since=client.knock(7000, 8000, 9000))
                apply.wait(f"opened for {client.address(4)}")
            assert apply.process.wait(30) == int(not knocks)
            assert (kind.state(lab) == before) != knocks
            apply.close()
        assert daemon.stop() == 0


def test_a_yes_that_was_given_before_asks_nobody(possible):
    """As Ansible and cloud-init want it."""
    kind = Nft()
    with Lab("none") as lab:
        client = lab.client()
        before = kind.state(lab)
        done = lab.knocktail("rules", "nft", "--apply", "--yes", "-c", lab.config(kind.doors))
        assert done.returncode == 0, done
        assert "The rules stay" in done.stdout and "Type yes" not in done.stdout
        assert kind.state(lab) != before and not client.can_connect()


def keeper_of(apply):
    """The process that takes the rules back."""
    pid = apply.process.pid
    with open(f"/proc/{pid}/task/{pid}/children", encoding="ascii") as file:
        return int(file.read().split()[0])


@pytest.mark.parametrize("kind", [Iptables, Nft], ids=lambda kind: kind.__name__)
def test_two_of_them_and_one_without_a_keeper(possible, kind):
    kind = kind()
    with Lab("none") as lab:
        config = lab.config(kind.doors)
        before = kind.state(lab)
        apply = Apply(lab, kind.variant, config)
        apply.wait("Type yes")
        loaded = kind.state(lab)
        second = lab.knocktail("rules", kind.variant, "-c", config, "--apply", input="yes\n")
        assert second.returncode == 1 and "waiting for confirmation" in second.stderr
        assert kind.state(lab) == loaded
        os.kill(keeper_of(apply), signal.SIGKILL)
        apply.wait("have been taken back")
        assert apply.process.wait(30) == 1
        assert kind.state(lab) == before
        apply.close()


def test_rules_that_are_loaded_again(possible):
    """After a change of the configuration: nothing is there twice."""
    with Lab("none") as lab:
        kind = Iptables()
        config = lab.config(kind.doors)
        states = []
        for _ in range(2):
            apply = Apply(lab, "iptables", config)
            apply.wait("Type yes")
            confirmed(apply, kind, lab)
            states.append(kind.state(lab))
            apply.close()
        assert states[0] == states[1]


NATIVE = """
table ip filter {
    set friends { type ipv4_addr; }
    chain INPUT {
        type filter hook input priority 0; policy drop;
        tcp dport 22 ip saddr @friends counter accept
    }
}"""


@pytest.mark.parametrize("rules", [
    NATIVE, NATIVE.replace("@friends", "{ 192.0.2.8, 192.0.2.9 }"),
    "table ip filter { chain x { type filter hook input priority 0; policy drop; }; }",
    "table ip6 filter { chain INPUT { type filter hook input priority 0; tcp dport 1 drop; }; }"],
                         ids=("named set", "set", "chain", "IPv6"))
def test_tables_that_iptables_would_not_put_back(possible, rules):
    """iptables-save prints "accept if it is in the set" as "accept"."""
    with Lab("none") as lab:
        lab.server.run("nft", "-f", "-", input=rules)
        before = lab.server.run("nft", "list", "ruleset").stdout
        done = lab.knocktail("rules", "iptables", "-c", lab.config(Iptables.doors), "--apply",
                             input="no\n")
        assert done.returncode == 1 and "nothing was changed" in done.stderr, done
        assert lab.server.run("nft", "list", "ruleset").stdout == before


def test_elements_that_are_put_back_have_grown_older(possible):
    with Lab("none") as lab:
        kind = Nft()
        config = lab.config(kind.doors)
        kind.load(lab, config)
        lab.server.run("nft", "-f", "-", input="""
            add element inet knock knock_ssh { 198.51.100.7 timeout 4s, 198.51.100.8 timeout 1h }
            add set inet knock mine { type inet_service; elements = { 22, 80 }; }""")

        def timed():
            listed = lab.server.run("nft", "-j", "list", "set", "inet", "knock", "knock_ssh").stdout
            items = [item["set"] for item in json.loads(listed)["nftables"] if "set" in item]
            return {each["elem"]["val"]: each["elem"]["expires"] for each in items[0].get("elem", [])}

        began = time.monotonic()
        apply = Apply(lab, "nft", config, "--confirm-within", "5s")
        apply.wait("taken back")
        assert apply.process.wait(30) == 1
        assert time.monotonic() - began > 4
        left = timed()
        assert set(left) == {"198.51.100.8"} and 3480 < left["198.51.100.8"] < 3597
        assert "{ 22, 80 }" in lab.server.run("nft", "list", "set", "inet", "knock", "mine").stdout
        apply.close()


def test_half_of_it_is_taken_back_at_once(possible):
    """ip6tables cannot load its half: there is a chain in the way."""
    with Lab("none") as lab:
        lab.server.run("ipset", "create", "knock_ssh6", "hash:net", "family", "inet6")
        kind = Iptables()
        before = kind.state(lab)
        done = lab.knocktail("rules", "iptables", "-c", lab.config(kind.doors), "--apply")
        assert done.returncode == 1
        assert "cannot be loaded" in done.stdout and "taken back" in done.stdout, done
        assert kind.state(lab) == before
        assert lab.client().can_connect()


def test_doors_that_rules_cannot_open(lab):
    ports = {"ports": GUARDED_PORT}
    for variant, doors, said in (
            ("iptables", ipset_door(), "ports = 22/tcp"),
            ("iptables", nft_door(**ports), "cannot look up"),
            ("ufw", nft_door(**ports), "cannot look up"),
            ("nft", ipset_door(**ports), "cannot look up"),
            ("nft", nft_door(set="ip filter a", set_6=None, **ports), "one of inet"),
            ("nft", nft_door(set_6="inet other b", **ports), "put all into one"),
            ("firewalld", nft_door(set="inet firewalld a", set_6=None, **ports),
             "set = inet knock a"),
            ("iptables", ipset_door(entry="%IP%,tcp:22,10.0.0.1"), "type of set")):
        done = lab.knocktail("rules", variant, "-c", lab.config(doors))
        assert done.returncode == 1, doors
        assert said in done.stderr and not done.stdout
    for arguments in ((), ("pf",), ("nft", "x"), ("nft", "--open", "http"),
                      ("nft", "--confirm-within", "0"), ("nft", "--remove", "--install"),
                      ("nft", "--confirm-by-knock"), ("nft", "--yes"),
                      ("nft", "--apply", "--yes", "--confirm-by-knock")):
        assert lab.knocktail("rules", *arguments).returncode == 2
    command = command_door(start_command="/bin/true %IP%", stop_command="/bin/true")
    for variant in ("ipset", "iptables", "ufw", "nft", "firewalld"):
        first, second = (lab.knocktail("rules", variant, "-c", lab.config(command),
                                       "--open", "80,53/udp").stdout for _ in range(2))
        assert first and first == second


def test_what_is_guarded_is_not_open_to_everybody(lab):
    for doors, ports, said in (
            (ipset_door(ports="20-30, 53/udp"), "800,25-99", "25-30/tcp is what door ssh guards"),
            (ipset_door(entry="%IP%,tcp:22"), "22", "22/tcp is what door ssh guards"),
            (ipset_door(ports="all"), "22", None), (ipset_door(ports="53/udp"), "53", None)):
        done = lab.knocktail("rules", "iptables", "-c", lab.config(doors), "--open", ports)
        assert done.returncode == (2 if said else 0), done.stderr
        assert not said or said in done.stderr and not done.stdout


@pytest.mark.parametrize("kind", [Iptables, Nft], ids=lambda kind: kind.__name__)
def test_other_flags_and_open_ports(possible, kind, needs):
    """A door for packets that conntrack finds invalid, and a port for everybody."""
    needs("hping3")
    kind = kind()
    doors = kind.doors.replace("backend", "tcpflags = fin, !ack\nbackend")
    with Lab("none") as lab:
        kind.load(lab, lab.config(doors), "--open", "2201")
        client = lab.client()
        lab.daemon(doors)
        assert client.can_connect(2201) and not client.can_connect()
        for port in (7000, 8000, 9000):
            client.run("hping3", "-F", "-c", 1, "-p", port, "-n", lab.server.v4, check=False)
        client.wait_open()


def test_rules_behind_a_drop(possible):
    """--apply says that the rules are not reached."""
    with Lab("none") as lab:
        lab.server.run("iptables", "-A", "INPUT", "-p", "tcp", "-j", "DROP")
        kind = Iptables()
        done = lab.knocktail("rules", "iptables", "-c", lab.config(kind.doors), "--apply",
                             input="no\n")
        assert done.returncode == 1
        assert "step 1 is dropped before it is logged" in done.stdout
        assert "port 22 stays closed even after a knock" in done.stdout
        assert "IPv6" not in done.stdout


def test_prefixes_that_nft_cannot_take(lab):
    for prefix, taken in (("a$b ", False), ('a"b', False), ("a\\b;#{*@'`", True)):
        quote = "'" if '"' in prefix else '"'
        config = lab.file("odd.conf", f"[options]\nlog_prefix = {quote}{prefix}{quote}\n{Nft.doors}",
                          0o640)
        os.chown(lab.server.path(config), 0, DAEMON_UID)
        done = lab.knocktail("rules", "nft", "-c", config)
        assert done.returncode == (0 if taken else 1), done
        assert taken or "nft takes no log_prefix" in done.stderr
        assert not taken or lab.server.run("nft", "-c", "-f", "-", input=done.stdout)


OTHERS = {
    "iptables": ("iptables -N OTHERS; iptables -A OTHERS -j KNOCKTAIL; "
                 "iptables -A OTHERS -m set --match-set knock_ssh src -j ACCEPT",
                 ("IPv4, the chain KNOCKTAIL: other rules lead there",
                  "the set knock_ssh: other rules look it up"),
                 "iptables -F OTHERS; iptables -X OTHERS; iptables -X KNOCKTAIL"),
    "nft": ("nft add chain inet knock mine; nft add rule inet knock mine ip saddr @knock_ssh accept",
            ("the set inet knock knock_ssh: other rules look it up",
             "the nftables table inet knock: there is more in it"),
            "nft delete chain inet knock mine"),
}


@pytest.mark.parametrize("kind", [Iptables, Nft], ids=lambda kind: kind.__name__)
def test_a_removal_leaves_what_others_use(possible, kind):
    """And says so; when they are gone, it takes the rest; and then there is nothing."""
    kind = kind()
    use, left, give_back = OTHERS[kind.variant]
    with Lab("none") as lab:
        kind.start(lab)
        if kind.variant == "iptables":
            kind.doors += iptables_door("web", "7100, 8100")
        config = lab.config(kind.doors)
        kind.load(lab, config)
        lab.server.run("sh", "-ec", use)

        def remove():
            done = lab.knocktail("rules", kind.variant, "-c", config, "--remove")
            print(done.stdout, done.stderr)
            return done.returncode, [line.split(None, 1) for line in done.stdout.splitlines()]

        status, said = remove()
        assert [text for word, text in said if word == "left"] == list(left) and status == 0
        assert [word for word, _ in said].count("removed") >= 2
        lab.server.run("sh", "-ec", give_back)
        status, said = remove()
        assert status == 0 and said and {word for word, _ in said} == {"removed"}
        status, said = remove()
        assert status == 0 and "removed" not in [word for word, _ in said]
        listed = lab.server.run("sh", "-c", "nft list ruleset; ipset save").stdout
        assert "knock" not in listed.lower(), listed
