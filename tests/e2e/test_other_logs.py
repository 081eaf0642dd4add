"""[log] sections: another program's lines open the doors that name it, and nothing else."""

import pytest

from doors import SENTINEL, ipset_door

PORTS = (7000, 9000, 8000)
SYSLOG = "/run/systemd/journal/dev-log"
TRUSTED = 64100     # the user whose lines count
STRANGER = 64101

LOG = f"""
[log edge]
match = _UID={TRUSTED} SYSLOG_IDENTIFIER=edge
pattern = ^DROP (?<PROTO>TCP|UDP) (?<SRC>[0-9a-f.:]+):(?<SPT>\\d+) -> (?<DST>\\S+):(?<DPT>\\d+)
"""

# Both doors have one sequence, and differ in who is believed.
DOORS = (ipset_door("edge", ", ".join(map(str, PORTS)), log="edge")
         + ipset_door("kernel", ", ".join(map(str, PORTS))) + SENTINEL + LOG)


def say(lab, line, uid=TRUSTED, tag="edge"):
    lab.server.run("setpriv", f"--reuid={uid}", f"--regid={uid}", "--clear-groups",
                   "logger", "-u", SYSLOG, "-t", tag, "--", line)


def edge_line(address, port, source_port=1024):
    return f"DROP TCP {address}:{source_port} -> 192.0.2.1:{port}"


def kernel_line(lab, address, port):
    return (f"{lab.prefix}IN=eth0 OUT= MAC= SRC={address} DST=192.0.2.1 LEN=60 TOS=0x00 PREC=0x00 "
            f"TTL=64 ID=1 DF PROTO=TCP SPT=1024 DPT={port} WINDOW=64240 RES=0x00 SYN URGP=0 ")


@pytest.mark.parametrize("version", [4, 6], ids=["IPv4", "IPv6"])
def test_its_lines_open_its_door(version, client, start, lab):
    daemon = start(DOORS)
    for port in PORTS:
        say(lab, edge_line(client.address(version), port))
    client.wait_open(version=version)
    assert daemon.messages("opened", SOURCE=client.address(version), DOOR="edge")
    assert not daemon.events(SOURCE=client.address(version), DOOR="kernel")


def test_a_knock_at_this_machine_does_not(client, start):
    daemon = start(DOORS)
    client.knock(*PORTS)
    client.wait_open()
    assert daemon.messages("opened", SOURCE=client.v4, DOOR="kernel")
    assert not daemon.events(SOURCE=client.v4, DOOR="edge")


@pytest.mark.parametrize("uid, tag", [(STRANGER, "edge"), (TRUSTED, "other"), (STRANGER, "kernel")])
def test_what_others_forge_opens_nothing(uid, tag, client, start, lab, nothing_opened):
    """A local user writes both kinds of lines, word for word."""
    daemon = start(DOORS)
    for port in PORTS:
        say(lab, edge_line(client.v4, port), uid, tag)
        say(lab, kernel_line(lab, client.v4, port), uid, tag)
    nothing_opened(daemon, client)


def test_what_it_says_of_the_kernel_opens_nothing(client, start, lab, nothing_opened):
    daemon = start(DOORS)
    for port in PORTS:
        say(lab, kernel_line(lab, client.v4, port))
        say(lab, f"{edge_line(client.v4, port)} and more")
        say(lab, f"a {edge_line(client.v4, port)}")
    nothing_opened(daemon, client)


def test_what_the_kernel_log_says_of_it_opens_nothing(client, start, lab, nothing_opened):
    daemon = start(DOORS.replace(f"_UID={TRUSTED} SYSLOG_IDENTIFIER=edge", "PRIORITY=4 PRIORITY=6"))
    for port in PORTS:
        lab.server.run("sh", "-c", "cat >/dev/kmsg", input=f"<4>{edge_line(client.v4, port)}\n")
    nothing_opened(daemon, client)


def test_halves_of_two_logs_make_no_knock(client, other, start, lab, nothing_opened):
    daemon = start(DOORS)
    client.knock(*PORTS[:2])
    lab.wait_logged(f"SRC={client.v4} ")
    say(lab, edge_line(client.v4, PORTS[2]))
    for port in PORTS[:2]:
        say(lab, edge_line(other.v4, port))
    lab.wait_logged(f"{other.v4}:1024 -> 192.0.2.1:{PORTS[1]}")
    other.hit(PORTS[2])
    nothing_opened(daemon, client, other)


def test_a_reload_begins_to_listen(client, start, lab):
    daemon = start(SENTINEL)
    config = lab.config(DOORS)
    lab.server.run("sh", "-c", f"cat {config} >{daemon.config}")
    say(lab, edge_line(client.v4, PORTS[0]))    # nobody listens yet
    daemon.reload()
    for index, port in enumerate(PORTS):
        say(lab, edge_line(client.v4, port, 2000 + index))
    client.wait_open()


def test_replay_finds_the_same(client, other, start, lab):
    daemon = start(DOORS)
    for port in PORTS:
        say(lab, edge_line(client.v4, port))
        say(lab, edge_line(other.v4, port), STRANGER)
    client.wait_open()
    for place in ((), ("--directory", lab.journal_directory)):
        done = lab.knocktail("replay", "-c", daemon.config, *place)
        assert f"door edge would have opened for {client.v4}\n" in done.stdout
        assert f"door kernel would have opened for {client.v4}" not in done.stdout
        assert f"{other.v4}" not in done.stdout


@pytest.mark.parametrize("pattern, problem", [
    ("(?<SRC>[0-9.]+ (?<DPT>[0-9]+)", "missing closing parenthesis, at offset 29"),
    ("(?<SRC>[0-9.]+)", "it has no group named DPT"),
    ("(?J)(?<SRC>a)(?<SRC>b)(?<DPT>c)", "the group SRC has more than one number"),
])
def test_a_wrong_pattern_is_named_with_its_line(pattern, problem, lab):
    config = lab.config(f"[log edge]\nmatch = _UID=0\npattern = {pattern}\n{SENTINEL}")
    for argv in ((lab.daemon_path, "-c", config), (lab.cli_path, "check", "-c", config)):
        done = lab.server.run(*argv, check=False, timeout=5)
        assert done.returncode == 2, done
        assert f"{config}:6: error: log edge: pattern: {problem}" in done.stderr


def test_a_pattern_must_find_what_a_door_asks_for(lab):
    config = lab.config("[log edge]\nmatch = _UID=0\npattern = (?<SRC>.*) (?<DPT>.*)\n"
                        + ipset_door(log="edge", interface="eth0", target="192.0.2.1"))
    done = lab.knocktail("check", "-c", config)
    assert done.returncode == 2
    assert f"{config}:6: error: log edge: pattern has no group named IN" in done.stderr
    assert f"{config}:6: error: log edge: pattern has no group named DST" in done.stderr


def test_a_line_that_would_take_for_ever(client, start, lab):
    """A pattern that is exponential, and a line that makes it so: others do not wait for it."""
    daemon = start(DOORS.replace("pattern = ^DROP", "pattern = ^DROP (?:(?:a|aa)+b)?"))
    for _ in range(200):
        say(lab, f"DROP {'a' * 800}")
    client.knock(*PORTS)
    client.wait_open()
    assert daemon.messages("opened", SOURCE=client.v4, DOOR="kernel")


def test_its_own_words_do_not_count_as_the_kernels_in_replay_of_text(lab):
    text = "".join(f"{edge_line('203.0.113.250', port)}\n" for port in PORTS)
    done = lab.knocktail("replay", "-c", lab.config(DOORS), "--text", "-", input=text)
    assert done.returncode == 0
    assert "203.0.113.250" not in done.stdout
    assert " 0 of them probes" in done.stdout
