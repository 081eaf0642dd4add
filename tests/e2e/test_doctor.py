"""`knocktail doctor` names what is broken, exactly that, and has no complaint about what is not."""

import json
import os
import re
import time

import pytest

from doors import ipset_door
from firewalls import KINDS, Iptables, Nft
from hosts import wait_until
from lab import DAEMON_UID, GUARDED_PORT, Lab


def doctor(lab, config, *options):
    """The exit status, and what was found: (word, check) to the lines."""
    done = lab.knocktail("doctor", "-c", config, *options, timeout=60)
    print(done.stdout, done.stderr)
    found = {}
    for word, check, text in re.findall(r"^(ok|unknown|warning|problem) +(\S+) +(.*)", done.stdout, re.M):
        found.setdefault((word, check), []).append(text)
    assert ("problems: " in done.stdout) != ("nothing is wrong" in done.stdout), done
    return done.returncode, found


def complaints(found):
    """Leaves out what a laboratory has not."""
    return {key for key in found if key[0] != "ok" and key not in (
        ("unknown", "boot"), ("unknown", "members"), ("unknown", "records"), ("unknown", "log"))}


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_a_healthy_machine(possible, kind):
    kind = kind()
    with Lab("none") as lab:
        kind.start(lab)
        config = lab.config(kind.doors)
        kind.load(lab, config)
        lab.daemon(kind.doors)
        lab.client().knock(7000, 8000)
        wait_until(lambda: len(lab.records()) == 2, 3, "probes are logged")
        status, found = doctor(lab, config)
        assert not complaints(found) and status == 0
        assert len(found) == 20
        told = json.loads(lab.knocktail("doctor", "-c", config, "-o", "json").stdout)
        assert told["problems"] == told["warnings"] == 0
        assert {finding["level"] for finding in told["findings"]} == {"ok", "unknown"}
        assert {check for level, check in found if level == "unknown"} == {"boot"}
        assert "in memory" in found["ok", "journald"][0]
        journald("Storage=auto")(lab)
        on_disk = lab.server.run("unshare", "--mount", "sh", "-ec", f"""
            mount -t tmpfs x /var/log; mkdir /var/log/journal
            {lab.cli_path} doctor -c {config}""", check=False).stdout
        assert "it stores what the kernel logs\n" in on_disk
        # What the limit for all sources together means for the journal.
        assert re.search(r"a flood may log 5000 lines a second, 3\.\d MB: the journal "
                         r"\((System|Runtime)MaxUse=, [\d.]+ GB\) keeps the last \d+ minutes",
                         found["ok", "limit"][1])


UDP = {"sequence": "7000, 8000/udp, 9000"}
LIMITED = ("-m limit --limit 3/min --limit-burst 10", "-m limit --limit 2/s --limit-burst 10",
           "-m hashlimit --hashlimit-name x --hashlimit-mode srcip --hashlimit-upto 30/min "
           "--hashlimit-burst 2", "",
           "-m hashlimit --hashlimit-name y --hashlimit-mode srcip --hashlimit-upto 30/min "
           "--hashlimit-burst 32 --hashlimit-htable-max 65536 --hashlimit-htable-expire 120000 "
           "-m limit --limit 5000/sec --limit-burst 10000",
           "-m hashlimit --hashlimit-name z --hashlimit-mode srcip --hashlimit-upto 30/min "
           "--hashlimit-burst 32 --hashlimit-htable-max 262144 --hashlimit-htable-expire 30000")


def journald(setting):
    return lambda lab: lab.file("../systemd/journald.conf.d/zzz.conf", f"[Journal]\n{setting}\n")


def shell(*lines):
    return lambda lab: lab.server.run("sh", "-ec", "\n".join(lines), env={"PREFIX": lab.prefix})


def relog(limit):
    def make(lab):
        lab.server.run("iptables", "-F", "KNOCKTAIL_LOG")
        lab.server.run("iptables", "-A", "KNOCKTAIL_LOG", *limit.split(), "-j", "LOG",
                       "--log-prefix", lab.prefix)
    return make


def config(**keys):
    """Another configuration than the one the firewall was made for."""
    return lambda lab: lab.config(ipset_door(**{
        "set": "knock_ssh", "set_6": "knock_ssh6", "ports": GUARDED_PORT, **keys}))


# What is done to a healthy machine, what the doctor says, and in which words.
BROKEN = {
    "nothing is stored": (journald("Storage=none"), "problem journald", "Storage=none"),
    "the kernel is not read": (journald("ReadKMsg=no"), "problem journald", "ReadKMsg"),
    "warnings are not stored": (journald("MaxLevelStore=err"), "problem journald", "MaxLevelStore"),
    "no LOG rule for IPv4": (shell("iptables -F KNOCKTAIL_LOG"), "problem log", "IPv4: no rule"),
    "no LOG rule for IPv6": (shell("ip6tables -F KNOCKTAIL_LOG"), "problem log", "IPv6: no rule"),
    "another prefix": (shell("iptables-save | sed 's/log-prefix \"./log-prefix \"/' |"
                             "iptables-restore"), "problem log", "no rule logs with"),
    "a step is accepted": (shell("iptables -I INPUT -p tcp --dport 8000 -j ACCEPT"),
                           "problem log", "step 2 is accepted before it is logged, by iptables: "
                           "-A INPUT -p tcp -m tcp --dport 8000 -j ACCEPT"),
    "a range is accepted": (shell("ip6tables -I INPUT -p tcp -m multiport --dports 1,8500:9500 "
                                  "-j ACCEPT"), "problem log", "IPv6: step 3 is accepted"),
    "a step is dropped": (shell("iptables -N x", "iptables -A x -j DROP",
                                "iptables -I INPUT -p tcp --dport 7000 -g x"), "problem log",
                          "step 1 is dropped before it is logged, by iptables: -A x -j DROP"),
    "UDP is not logged": (shell("iptables -D KNOCKTAIL_INPUT -p udp -j KNOCKTAIL_LOG"),
                          "problem log", "step 2 is not logged: no rule logs packets like it", UDP),
    "other flags": (config(tcpflags="fin, !ack"), "problem log", "step 1 is dropped"),
    "a condition that nobody understands": (
        shell("iptables -F KNOCKTAIL_LOG", "iptables -I KNOCKTAIL_LOG -m u32 --u32 '0=1' -m "
              "hashlimit --hashlimit-name x --hashlimit-mode srcip --hashlimit-upto 30/min "
              "--hashlimit-burst 20 -m limit --limit 2000/sec --limit-burst 100 -j LOG "
              "--log-prefix \"$PREFIX\""), "warning log", "more is true"),
    "ufw's limit": (relog(LIMITED[0]), "problem limit", "180 lines an hour"),
    "a limit for all": (relog(LIMITED[1]), "warning limit", "for all sources together"),
    "a tight limit": (relog(LIMITED[2]), "problem limit", "burst of 2"),
    "no limit": (relog(LIMITED[3]), "warning limit", "one host can fill the journal"),
    "a small table": (relog(LIMITED[4]), "warning limit",
                      "invented sources, 546 a second, fill the table of the limit"),
    "none for all": (relog(LIMITED[5]), "warning limit", "turns the journal over"),
    "no set": (config(set="nowhere"), "problem target", "nowhere"),
    "no interface": (config(interface="eth7"), "warning target",
                     "door ssh: this machine has no interface eth7"),
    "no interface by any such name": (config(interface="ppp+"), "warning target",
                                      "this machine has no interface ppp+"),
    "no address": (config(target="203.0.113.5"), "warning target",
                   "door ssh: this machine has no address 203.0.113.5"),
    "not looked up": (shell("iptables -D KNOCKTAIL_INPUT -p tcp --dport 22 -m set --match-set "
                            "knock_ssh src -j ACCEPT"), "problem accept", "IPv4: port 22"),
    "another table drops": (
        shell("nft add table inet z", "nft 'add chain inet z i { type filter hook input priority 9; "
              "policy drop; }'", "nft add rule inet z i ct state established accept",
              "nft add rule inet z i meta nfproto ipv6 accept"),
        "problem accept", "IPv4: port 22 stays closed even after a knock, because of nft inet z: the "
        "policy of the chain i"),
    "not looked up in IPv6": (shell("ip6tables -D KNOCKTAIL_INPUT -p tcp --dport 22 -m set "
                                    "--match-set knock_ssh6 src -j ACCEPT"), "problem accept",
                              "IPv6: port 22"),
    "another port": (config(ports=23), "problem accept", "port 23 stays closed even after a knock"),
    "no port": (config(ports=None), "warning accept", "not said"),
    "open to everybody": (shell("iptables -I INPUT -p tcp --dport 22 -j ACCEPT"), "problem closed",
                          "port 22 is open to everybody"),
    "no ESTABLISHED": (shell("iptables -D KNOCKTAIL_INPUT -m conntrack --ctstate "
                             "ESTABLISHED,RELATED -j ACCEPT"), "problem established", "IPv4"),
    "no drop": (shell("ip6tables -P INPUT ACCEPT"), "problem drop", "IPv6"),
    "no daemon": (lambda lab: lab.test_daemon.stop(), "problem daemon", "knocktaild is not running"),
}


@pytest.fixture(scope="module")
def broken(possible):
    """A healthy machine to be broken, and what puts it back."""
    kind = Iptables()
    with Lab("none") as lab:
        path = lab.config(kind.doors)
        kind.load(lab, path)
        lab.test_daemon = lab.daemon(kind.doors)
        lab.client().knock(7000, 8000)
        wait_until(lambda: len(lab.records()) == 2, 3, "probes are logged")
        lab.server.run("sh", "-c", "iptables-save >/run/lab/v4; ip6tables-save >/run/lab/v6")
        yield lab, path


@pytest.mark.parametrize("what", BROKEN)
def test_it_names_what_is_broken(broken, what):
    lab, path = broken
    act, said, words, *keys = BROKEN[what]
    if keys:
        path = config(**keys[0])(lab)
    made = act(lab)
    if act.__qualname__.startswith("config"):
        path = made
    try:
        status, found = doctor(lab, path)
        assert complaints(found) == {tuple(said.split())}
        assert words in " ".join(found[tuple(said.split())])
        assert status == (1 if said.startswith("problem") else 0)
    finally:
        lab.server.run("sh", "-ec", """
            rm -f /run/systemd/journald.conf.d/zzz.conf
            nft 'add table inet z; delete table inet z'
            iptables-restore </run/lab/v4; ip6tables-restore </run/lab/v6""")
        if not lab.test_daemon.running():
            lab.test_daemon = lab.daemon(Iptables.doors)


def test_who_may_not_look_is_told_nothing_made_up(possible):
    """What could not be looked at is unknown, and so is what goes by that."""
    with Lab("none") as lab:
        config = lab.config(KINDS[0]().doors)
        os.chmod(lab.server.path(config), 0o644)
        done = lab.server.run("setpriv", "--reuid=64777", "--regid=64777", "--clear-groups",
                              "/run/lab/knocktail", "doctor", "-c", config, check=False)
        levels = {check: level for level, check in re.findall(r"^(\w+) +(\w+) ", done.stdout, re.M)}
        rules = ("firewall", "log", "limit", "target", "accept", "closed", "established", "drop")
        assert {levels[check] for check in (*rules, "journal", "records", "boot")} == {"unknown"}
        assert levels["daemon"] == "problem" and done.returncode == 1
        assert "problems: 1, warnings: 0, unknown: " in done.stdout, done


def test_sets_that_cannot_do_it(possible):
    with Lab("none") as lab:
        kind = Iptables()
        lab.server.run("ipset", "restore", input="create knock_ssh hash:ip\n"
                       "create knock_ssh6 hash:ip family inet6 timeout 0\n")
        path = lab.config(kind.doors)
        for program in ("iptables-restore", "ip6tables-restore"):
            lab.server.run(program, "--noflush", input=kind.rules(lab, path))
        lab.daemon(kind.doors)
        status, found = doctor(lab, path)
        assert status == 1
        assert complaints(found) == {("problem", "target"), ("warning", "records")}
        assert "timeout" in found["problem", "target"][0]


def test_a_journal_that_is_not_there(broken):
    lab, path = broken
    done = lab.server.run("unshare", "--mount", "sh", "-ec", f"""
        mount -t tmpfs x /run/log/journal
        {lab.cli_path} doctor -c {path} || echo status $?""")
    assert "status 1" in done.stdout and "no file of the journal" in done.stdout
    assert done.stdout.count("\nproblem") + done.stdout.count("warning ") <= 1, done.stdout


def test_a_journald_that_is_stopped(broken):
    """Its files are there all the same."""
    lab, path = broken
    told = []
    lab.restart_journald(between=lambda: told.append(doctor(lab, path)))
    status, found = told[0]
    assert status == 1 and complaints(found) == {("problem", "journald")}
    assert found["problem", "journald"] == ["systemd-journald is not running"]


def test_without_proc(broken):
    """What is known by it alone is unknown."""
    lab, path = broken
    done = lab.server.run("unshare", "--mount", "sh", "-ec", f"""
        mount -t tmpfs x /proc
        {lab.cli_path} doctor -c {path} || echo status $?""")
    unknown = re.findall(r"^unknown +(\w+)", done.stdout, re.M)
    assert unknown == ["readers", "daemon", "boot"] and "status 1" in done.stdout
    assert "nothing is wrong as far as can be seen (unknown: 3)" in done.stdout


NFT_BROKEN = {
    "no LOG rule": ("flush chain inet knock knocktail_log", "problem log", "no rule logs"),
    "a step is accepted": ("insert rule inet knock knocktail_input tcp dport { 1, 8000-8001 } "
                           "accept", "problem log", "step 2 is accepted"),
    "a step is dropped in another table": (
        "table ip other { chain c { type filter hook input priority -10; tcp dport vmap "
        "{ 9000 : drop, 1 : accept }; }; }", "problem log", "IPv4: step 3 is dropped"),
    "not looked up": ("flush set inet knock knock_ssh; insert rule inet knock knocktail_input ip "
                      "saddr @knock_ssh drop", "problem accept", "IPv4: port 22"),
    "open to everybody": ("insert rule inet knock knocktail_input tcp dport ssh accept",
                          "problem closed", "open to everybody"),
    "no drop": ("chain inet knock knocktail_input { policy accept; }", "problem drop", "IPv4"),
    "no ESTABLISHED": ("insert rule inet knock knocktail_input ct state established drop",
                       "problem established", "dropped"),
    "a limit for all": ("flush chain inet knock knocktail_log; add rule inet knock knocktail_log "
                        "limit rate 3/minute burst 10 packets log prefix \"PREFIX\"",
                        "problem limit", "180 lines"),
    "a tight limit": ("table inet knock { set s { type ipv4_addr; flags dynamic,timeout; timeout "
                      "1m; }; }; flush chain inet knock knocktail_log; add rule inet knock "
                      "knocktail_log meta nfproto ipv6 update @knocktail_slots6 { jhash ip6 "
                      "saddr mod 65536 limit rate 1/second burst 9 packets } limit rate 99/second "
                      "burst 99 packets log prefix \"PREFIX\"; add rule inet knock "
                      "knocktail_log update @s { ip saddr limit rate 1/second burst 2 packets } log "
                      "prefix \"PREFIX\"", "problem limit", "IPv4: a burst of 2"),
    "a full table": ("table inet knock { set s { type ipv4_addr; size 2; flags dynamic,timeout; "
                     "elements = { 10.0.0.1, 10.0.0.2 }; }; }; flush chain inet knock "
                     "knocktail_log; add rule inet knock knocktail_log meta nfproto ipv6 update "
                     "@knocktail_slots6 { jhash ip6 saddr mod 65536 limit rate 1/second burst 20 "
                     "packets } limit rate "
                     "99/second burst 99 packets log prefix \"PREFIX\"; add rule inet knock "
                     "knocktail_log update @s { ip saddr limit rate 1/second burst 20 packets } "
                     "log prefix \"PREFIX\"", "problem limit", "IPv4: the table of the limit is "
                     "full (2 sources)"),
    "a small table": ("table inet knock { set s { type ipv4_addr; size 65535; flags dynamic,"
                      "timeout; timeout 2m; }; }; insert rule inet knock knocktail_log "
                      "update @s { ip saddr limit rate 1/second burst 20 packets } limit rate "
                      "99/second burst 99 packets log prefix \"PREFIX\"", "warning limit",
                      "IPv4: invented sources, 546 a second"),
    "none for all": ("insert rule inet knock knocktail_log update @knocktail_slots { jhash ip saddr "
                     "mod 65536 limit rate 1/second burst 20 packets } log prefix \"PREFIX\"",
                     "warning limit", "IPv4: none for all"),
}


@pytest.fixture(scope="module")
def nft_broken(possible):
    """The same with nft."""
    kind = Nft()
    with Lab("none") as lab:
        path = lab.config(kind.doors)
        kind.load(lab, path)
        lab.daemon(kind.doors)
        lab.client().knock(7000, 8000)
        wait_until(lambda: len(lab.records()) == 2, 3, "probes are logged")
        yield lab, path, kind


@pytest.mark.parametrize("what", NFT_BROKEN)
def test_it_names_what_is_broken_in_nft(nft_broken, what):
    lab, path, kind = nft_broken
    commands, said, words = NFT_BROKEN[what]
    commands = commands.replace("PREFIX", lab.prefix)
    lab.server.run("nft", "-f", "-", input=re.sub("; (add|flush|insert)", r"\n\1", commands))
    try:
        _, found = doctor(lab, path)
        assert complaints(found) == {tuple(said.split())}
        if what == "no LOG rule":
            assert found["ok", "limit"] == ["nothing is logged that a limit could keep out"]
        assert "with handle" not in str(found)
        assert words in " ".join(found[tuple(said.split())])
    finally:
        lab.server.run("nft", "flush", "ruleset")
        kind.load(lab, path)


class Watched:
    """A knock that the doctor watches."""

    def __init__(self, lab, path, client, *options):
        self.process = lab.server.spawn([lab.cli_path, "doctor", "-c", path, "--knock", client.v4,
                                         *options], stdout=-1, stderr=-2)
        for line in self.process.stdout:
            if b"watching" in line:
                break

    def end(self):
        """The exit status and what was said."""
        said = self.process.stdout.read().decode()
        self.process.stdout.close()
        return self.process.wait(10), said


def test_it_watches_a_knock(broken):
    lab, path = broken
    short = ("--timeout", "2s")
    cases = [
        ((7000, 8000, 9000), 0, "door ssh opened for"),
        ((), 1, "nothing was logged from"),
        ((7001, 8001), 1, "none of the probes was its first step"),
        ((7000, 8000), 1, "it ended after step 2 of 3"),
        ((7000, 8000, 8001, 9000), 1, "broken after step 2 of 3 by port 8001"),
        (("7000/udp", 8000), 1, "none of the probes was its first step"),
    ]
    for steps, status, words in cases:
        client = lab.client()
        watched = Watched(lab, path, client, *short)
        client.knock(*steps)
        told, said = watched.end()
        assert told == status and words in said, said
        client.close()


def test_it_watches_a_knock_for_a_program(broken):
    """Two doors that begin alike, of which one overlaps with itself."""
    lab, _ = broken
    doors = (ipset_door(set="knock_ssh", set_6="knock_ssh6", ports=GUARDED_PORT,
                        sequence="7000, 7000, 8000, 7000, 7000, 9000")
             + ipset_door("other", "7000, 8000/udp", set="knock_ssh", set_6="knock_ssh6",
                          ports=GUARDED_PORT))
    path = lab.config(doors)
    steps = (7000, 7000, 8000, 7000, 7000, 8000, 7000, 7000, 8000)
    for more, opened, text, ssh in (((), False, None, "broken after step 5 of 6 by port 8000"),
                                    ((7000, 7000, 9000), True, "door ssh opened for",
                                     "its knock was complete")):
        lab.test_daemon.stop()
        lab.test_daemon = lab.daemon(doors)
        client = lab.client()
        watched = Watched(lab, path, client, "--timeout", "2s", "-o", "json")
        client.knock(*steps, *more)
        status, said = watched.end()
        told = json.loads(said)
        assert told["opened"] == opened and status == (0 if opened else 1), said
        assert told["source"] == client.v4
        assert [probe["port"] for probe in told["probes"]][:9] == list(steps)
        assert told["text"] == text or text in told["text"]
        assert [door["door"] for door in told["doors"]] == ["ssh", "other"]
        assert ssh in told["doors"][0]["text"], said
        assert told["doors"][1]["steps"] == 1 and "broken" in told["doors"][1]["text"]
        client.close()
    lab.test_daemon.stop()
    lab.test_daemon = lab.daemon(Iptables.doors)


def test_it_says_of_each_door_why_it_stays_shut(broken):
    """Of all kinds of knocks, while somebody else knocks, too; the daemon says nothing of theirs."""
    lab, _ = broken
    to_ssh = {"set": "knock_ssh", "set_6": "knock_ssh6"}
    used = lab.file("used.sequences", "#7000, 8000, 9000\n", 0o600)
    path = lab.config(
        ipset_door("flags", tcpflags="fin", **to_ssh)
        + ipset_door("keyed", None, seq_timeout=None, auth="token, spa", users="alice", **to_ssh)
        + ipset_door("once", None, one_time_sequences=used, **to_ssh)
        + ipset_door("away", interface="no-such-0", **to_ssh)
        + ipset_door("edge", log="edge", **to_ssh)
        + ipset_door("last", "7100, 8100, 9100", **to_ssh)
        + "[log edge]\nmatch = _UID=0 SYSLOG_IDENTIFIER=edge\npattern = (?<SRC>\\S+) (?<DPT>\\S+)\n")
    client, other = lab.client(), lab.client()
    for door in (), ("edge",):
        watched = Watched(lab, path, client, *door, "--timeout", "2s")
        other.knock(7000)
        lab.server.run("logger", "-u", "/run/systemd/journal/dev-log", "-t", "edge", f"{client.v4} 7000")
        client.knock(7000)
        status, said = watched.end()
        assert status == 1, said
        assert re.findall("^door (.*)", said, re.M) == [
            words for words in (
                "flags: none of the probes passed its tcpflags, interface and target",
                "keyed: it opens by tokens or SPA knocks; the daemon has seen none that was whole",
                "once: no one-time sequence is left",
                "away: none of the probes passed its tcpflags, interface and target",
                "edge: its probes are logged elsewhere, and not followed here",
                "last: none of the probes was its first step",
            ) if not door or words.startswith(door)], said
    watched = Watched(lab, path, client, "--timeout", "1s")
    other.knock(7000, 8000)
    assert f"nothing was logged from {client.v4} (from others: 2)" in watched.end()[1]


def test_it_watches_a_door_that_is_open(broken):
    """It is renewed."""
    lab, path = broken
    lab.test_daemon.stop()
    lab.test_daemon = lab.daemon(Iptables.doors.replace("timeout = 3s", "timeout = 60s"))
    client = lab.client()
    client.knock(7000, 8000, 9000)
    # What it says of that is not to come to the doctor late.
    lab.test_daemon.wait_message(" opened for ", SOURCE=client.v4)
    watched = Watched(lab, path, client, "--timeout", "20s")
    client.knock(7000, 8000, 9000)
    status, said = watched.end()
    assert status == 0 and "door ssh renewed for" in said, said


def test_it_watches_a_knock_that_the_daemon_refuses(broken):
    lab, path = broken
    lab.test_daemon.stop()
    client = lab.client()
    watched = Watched(lab, config(seq_timeout="1ms")(lab), client, "--timeout", "2s")
    client.knock(7000)
    wait_until(lambda: any(client.v4 in record["MESSAGE"] for record in lab.records()), 3,
               "the first step is logged")
    client.knock(8000, 9000)
    assert "too slow" in watched.end()[1]
    client = lab.client()
    watched = Watched(lab, path, client, "--timeout", "20s")
    client.knock(7000, 8000, 9000)
    status, said = watched.end()
    assert status == 1 and "the daemon did not react" in said
    lab.test_daemon = lab.daemon(Iptables.doors + "allow = 192.0.2.77\n")
    other = lab.client()
    watched = Watched(lab, path, other, "--timeout", "20s")
    other.knock(7000, 8000, 9000)
    status, said = watched.end()
    assert status == 1 and "refused" in said
    lab.test_daemon.stop()
    lab.test_daemon = lab.daemon(Iptables.doors)


def test_what_cannot_be_asked(lab):
    path = lab.config(ipset_door())
    for arguments in (("nodoor",), ("--knock", "x"), ("--timeout", "0"), ("ssh", "x"), ("-x",), ("-o", "x")):
        assert lab.knocktail("doctor", "-c", path, *arguments).returncode == 2
    assert lab.knocktail("doctor", "-c", "/no/such/file").returncode == 2


def test_tokens_and_spa_knocks(possible):
    kind = Iptables()
    kind.doors = ipset_door(set="knock_ssh", set_6="knock_ssh6", ports=GUARDED_PORT, sequence=None,
                            seq_timeout=None, auth="token, spa", users="alice")
    with Lab("none") as lab:
        lab.server.run("install", "-d", "-m", "750", "-g", DAEMON_UID, "/run/lab/keys")
        options = "keys = /run/lab/keys"
        path = lab.config(kind.doors, options)
        kind.load(lab, path)
        lab.daemon(kind.doors, options)

        def found():
            got = doctor(lab, path)[1]
            return {key: got[key] for key in complaints(got)
                    if key[1] not in ("clock", "records")}

        assert "alice has no key" in found()["problem", "keys"][0]
        lab.server.run(lab.cli_path, "keygen", "-c", path, "alice")
        assert not found()
        lab.server.run("chmod", "644", "/run/lab/keys/alice.key")
        assert set(found()) == {("problem", "keys")}
        for path_of_it, mode in (("/run/lab/keys/alice.key", "640"), ("/run/lab/keys", "750")):
            lab.server.run("chmod", "700", path_of_it)
            got = found()
            assert set(got) == {("problem", "keys")}
            assert f"{path_of_it}: only root can read it" in got["problem", "keys"][0]
            lab.server.run("chmod", mode, path_of_it)
        key = lab.read("/run/lab/keys/alice.key")
        soon = time.strftime("%Y-%m-%d", time.gmtime(time.time() + 3 * 86400))
        for date, word, said in (("2020-01-01", "problem", "expired"), (soon, "warning", soon)):
            with open(lab.server.path("/run/lab/keys/alice.key"), "w", encoding="ascii") as file:
                file.write(f"{key}expires {date}\n")
            got = found()
            assert set(got) == {(word, "keys")} and said in got[word, "keys"][0], got
        with open(lab.server.path("/run/lab/keys/alice.key"), "w", encoding="ascii") as file:
            file.write(key)
        lab.server.run("mv", "/run/lab/keys", "/run/lab/keys.away")
        assert "/run/lab/keys: No such file" in found()["problem", "keys"][0]
        lab.server.run("mv", "/run/lab/keys.away", "/run/lab/keys")
        lab.server.run("sh", "-c", "iptables-save >/run/lab/v4")
        for broken, said in (
                ("iptables-save | sed 's/ --log-tcp-options//' | iptables-restore",
                 ("log", "TCP's options")),
                ("iptables -I INPUT -p udp --dport 20000:20050 -j ACCEPT",
                 ("log", "port 20011/udp is not logged, but accepted")),
                ("iptables -I INPUT -p tcp --dport 1024: -j DROP", ("log", "1024/tcp")),
                ("iptables-save | sed 's/burst 10000/burst 12/' | iptables-restore",
                 ("limit", "16 steps"))):
            lab.server.run("sh", "-c", broken)
            got = found()
            assert set(got) == {("problem", said[0])}, got
            assert said[1] in got["problem", said[0]][0]
            lab.server.run("sh", "-c", "iptables-restore </run/lab/v4")
        assert not found()
        # Another set of ports, of which nothing is known.
        lab.server.run("sh", "-ec", "ipset create ports bitmap:port range 0-65535; iptables-save | "
                       "sed 's/knocktail_expected dst/ports dst/' | iptables-restore")
        assert "only if more is true" in found()["warning", "log"][0]
        lab.server.run("sh", "-c", "iptables-restore </run/lab/v4")
        lab.server.run("sh", "-ec", "iptables -F KNOCKTAIL_LOG; ip6tables -F KNOCKTAIL_LOG; "
                       "ipset destroy knocktail_expected")
        got = found()
        assert set(got) == {("warning", "expected"), ("problem", "log")}
        assert "knocktail_expected: The set with the given name does not exist" in (
            got["warning", "expected"][0])
        lab.server.run("ipset", "create", "knocktail_expected", "hash:ip", "timeout", "0")
        assert "not a set of ports" in found()["warning", "expected"][0]
