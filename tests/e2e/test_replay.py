"""`knocktail replay` finds in the past what the daemon found when it was the present."""

import contextlib
import json
import os
import pty
import re
import subprocess
import time

import pytest

from doors import ipset_door
from hosts import wait_until
from lab import ROOT, Lab
from synthetic import PROBE, damage, probe, write_journal

DOORS = ipset_door() + ipset_door("udp", "7001/udp, 8001/udp", seq_timeout="1s")


@pytest.fixture(scope="module")
def lab(possible):
    """A laboratory of our own: in that of all, forgers have written to the log."""
    with Lab() as made:
        yield made


@pytest.fixture(scope="module")
def past(lab):
    """A daemon's matches, the clients' addresses, and the configuration."""
    daemon = lab.daemon(DOORS)
    clients = [lab.client() for _ in range(4)]
    good, six, udp, bad = clients
    good.knock(7000, 8000, 9000)
    six.knock(7000, 8000, 9000, version=6)
    udp.knock("7001/udp", "8001/udp")
    bad.knock(7000, 8000, 8001, 9000)
    bad.knock(7000, 8000, 9001, version=6)
    expected = {("ssh", good.v4), ("ssh", six.v6), ("udp", udp.v4)}

    def matches():
        return {(event["KNOCKTAIL_DOOR"], event["KNOCKTAIL_SOURCE"]) for event in daemon.events()
                if " opened for " in event["MESSAGE"]}

    wait_until(lambda: matches() == expected, 3, "the daemon opens three doors")
    lab.wait_logged(f"SRC={bad.v4} ")
    yield {"config": daemon.config, "matches": expected, "addresses": [bad.v4, bad.v6],
           "sources": {client.v4 for client in clients} | {client.v6 for client in clients}}
    daemon.close()
    for client in clients:
        client.close()


def check(done, past):
    """The output names the daemon's matches, of these clients, and no others."""
    assert done.returncode == 0, done.stderr
    told = {(door, source) for line in done.stdout.splitlines() for door in ("ssh", "udp")
            for source in past["sources"]
            if re.search(rf"\b{door}\b", line)
            and re.search(rf"(?<![\w:.]){re.escape(source)}(?![\w:.])", line)}
    assert told == past["matches"], done.stdout
    counted = re.search(r"(\d+) records read, (\d+) of them probes", done.stdout)
    assert counted, done.stdout
    assert int(counted.group(1)) >= int(counted.group(2)) >= 15


def test_over_the_journal_of_this_machine(lab, past):
    check(lab.knocktail("replay", "-c", past["config"]), past)


def test_as_json(lab, past):
    done = lab.knocktail("replay", "-c", past["config"], "-o", "json")
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["records"] >= told["probes"] >= 15
    ours = [item for item in told["knocks"] if item["source"] in past["sources"]]
    assert {(item["door"], item["source"]) for item in ours} == past["matches"]
    assert all(item["refused"] is None and item["time"].endswith("Z") for item in ours)
    assert {(item["door"], item["source"]) for item in told["opened"] if item["times"] == 1
            and item["source"] in past["sources"]} == past["matches"]


def test_over_a_directory(lab, past):
    check(lab.knocktail("replay", "-c", past["config"], "--directory", lab.journal_directory), past)


def test_over_a_journal_file(lab, past):
    remote = "/lib/systemd/systemd-journal-remote"
    if not os.path.exists(remote):
        pytest.skip("systemd-journal-remote is not installed")
    lab.server.run("sh", "-c", f"journalctl -D {lab.journal_directory} -o export | "
                   f"{remote} -o /run/lab/one.journal --split-mode=none -")
    check(lab.knocktail("replay", "-c", past["config"], "--file", "/run/lab/one.journal"), past)


def test_over_files_that_are_damaged(lab, past, tmp_path):
    """What can be read is judged, and it is said that it is not all."""
    path = str(tmp_path / "damaged.journal")
    write_journal(path, [probe(time.time() - 50000 + i, lab.prefix, f"198.51.100.{i % 250}", 7000)
                         for i in range(20000)])
    inside = "/run/lab/damaged"
    os.mkdir(lab.server.path(inside))
    for damaged in (False, True):
        if damaged:
            damage(path)
        with open(path, "rb") as file:
            lab.file("damaged/damaged.journal", file.read())
        done = lab.knocktail("replay", "-c", past["config"], "--directory", inside)
        assert done.returncode == int(damaged), done.stderr
        assert ("a file of the journal is damaged" in done.stderr) == damaged
        assert (" 20000 of them probes" in done.stdout) != damaged
    lab.file("damaged/empty.journal", "")
    done = lab.knocktail("replay", "-c", past["config"], "--directory", inside)
    assert done.returncode == 1 and f"cannot read {inside}/empty.journal" in done.stderr
    done = lab.knocktail("replay", "-c", past["config"], "--directory", "/etc")
    assert done.returncode == 1 and "no journal file in /etc" in done.stderr


@pytest.mark.parametrize("form", ["short", "short-iso", "short-iso-precise", "short-precise",
                                  "short-full", "short-monotonic", "short-unix", "short-delta",
                                  "with-unit", "short --no-hostname", "cat"])
def test_over_what_journalctl_prints(form, lab, past):
    text = lab.server.run("journalctl", "-D", lab.journal_directory, "-o", *form.split(),
                          "_TRANSPORT=kernel").stdout
    path = lab.file(f"journal-{form}.txt", text)
    check(lab.knocktail("replay", "-c", past["config"], "--text", path), past)
    check(lab.knocktail("replay", "-c", past["config"], "--text", "-", input=text), past)


@pytest.mark.parametrize("options", [(), ("-T",), ("-x",), ("--time-format=iso",), ("-r",), ("-d",),
                                     ("-T", "-d"), ("-e",), ("--color=always",),
                                     ("--color=always", "-x", "-e")],
                         ids=lambda options: " ".join(options) or "plain")
def test_over_what_dmesg_prints(options, lab, past):
    text = "".join(line + "\n" for line in lab.server.run("dmesg", *options).stdout.splitlines()
                   if lab.prefix in line)
    check(lab.knocktail("replay", "-c", past["config"], "--text", "-", input=text), past)


TEXTS = os.path.join(os.path.dirname(__file__), "..", "text")


@pytest.mark.parametrize("name", sorted(name for name in os.listdir(TEXTS)
                                        if name.endswith(".txt")))
def test_over_text_as_people_have_it(name, lab):
    """Each file holds one right knock. What is before it is read, or it is said that it is not."""
    with open(os.path.join(TEXTS, "door.conf"), encoding="utf-8") as file:
        config = lab.file("text-door.conf", file.read(), 0o600)
    with open(os.path.join(TEXTS, name), "rb") as file:
        path = lab.file("text.txt", file.read())
    done = lab.knocktail("replay", "-c", config, "--text", path)
    if name.startswith("unread-"):
        assert done.returncode == 1
        assert ("3 lines hold the prefix behind something that is not understood, the first is "
                "line 2: ") in done.stderr
        done = lab.knocktail("replay", "-c", config, "--text", path, "-o", "json")
        assert json.loads(done.stdout)["not_understood"] == 3
        assert not json.loads(done.stdout)["opened"]
        return
    assert done.returncode == 0, done.stderr
    assert "door t would have opened for 192.0.2.9\n" in done.stdout
    assert "understood" not in done.stderr


ULOGD = """
[options]
log_prefix = "[knock] "

[log ulogd]
match   = _SYSTEMD_UNIT=ulogd2.service
pattern = "\\[knock\\] IN=(?<IN>\\S+) OUT=\\S* (?:MAC=\\S* )?SRC=(?<SRC>\\S+) DST=(?<DST>\\S+) .*?\
PROTO=(?<PROTO>TCP|UDP) SPT=(?<SPT>\\d+) DPT=(?<DPT>\\d+) .*"

[log any]
match   = _SYSTEMD_UNIT=any.service
pattern = ".*SRC=(?<SRC>\\S+).* DPT=(?<DPT>\\d+) .*"

[door ssh]
log      = ulogd
sequence = 8000, 7000, 9000
backend  = nft
set      = inet filter a

[door also]
log      = any
sequence = 8000, 7000, 9000
seq_timeout = 3s
backend  = nft
set      = inet filter b
"""


def ulogd_lines(head="", seconds=(1, 2, 3)):
    return "".join(f"{head.format(second)}[knock] IN=eth0 OUT= MAC= SRC=192.0.2.9 DST=198.51.100.1 "
                   f"LEN=60 TOS=00 PREC=0x00 TTL=52 ID=1 PROTO=TCP SPT=51001 DPT={port} SEQ=1 "
                   "ACK=0 WINDOW=64240 SYN URGP=0 MARK=0 \n"
                   for second, port in zip(seconds, (8000, 7000, 9000)))


@pytest.mark.parametrize("head", ["", "Nov 22 21:00:0{} gw ", "Nov 22 21:00:0{} gw ulogd[12]: ",
                                  "<30>1 2026-11-22T21:00:0{}Z gw ulogd 12 - - ", "2026: "])
def test_over_the_text_of_another_log(head, lab):
    config = lab.file("ulogd.conf", ULOGD, 0o600)
    done = lab.knocktail("replay", "-c", config, "--text", "-", "--log", "ulogd",
                         input=ulogd_lines(head))
    if head == "2026: ":
        assert done.returncode == 1 and "3 lines hold the prefix" in done.stderr
        assert "no line is as the pattern of the log ulogd has it" in done.stderr
        return
    assert done.returncode == 0, done.stderr
    assert "door ssh would have opened for 192.0.2.9\n" in done.stdout
    assert "door also" not in done.stdout


def test_a_pattern_that_takes_the_head_too(lab):
    """The line's time counts nevertheless."""
    config = lab.file("ulogd.conf", ULOGD, 0o600)
    for seconds, opens in (((1, 2, 3), True), ((1, 2, 9), False)):
        done = lab.knocktail("replay", "-c", config, "--text", "-", "--log", "any",
                             input=ulogd_lines("Nov 22 21:00:0{} gw ", seconds))
        assert done.returncode == 0, done.stderr
        assert ("door also would have opened" in done.stdout) == opens


def test_long_reading_is_counted_on_a_terminal(lab):
    """The count goes before anything else is printed, and is not there where nobody sees it."""
    config = lab.file("replay.conf", '[options]\nlog_prefix = "[knock] "\n' + DOORS, 0o600)
    argv = ("/run/lab/knocktail", "replay", "-c", config, "--text", "-")
    ours, theirs = pty.openpty()
    process = lab.server.popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=theirs,
                               env={"TERM": "xterm"}, text=True)
    os.close(theirs)
    os.set_blocking(ours, False)
    seen = ""

    def counted():
        nonlocal seen
        process.stdin.write(f"[1.5] {PROBE.format(prefix='[knock] ', source='192.0.2.9', port=5)}\n" * 1024)
        process.stdin.flush()
        with contextlib.suppress(BlockingIOError):
            seen += os.read(ours, 65536).decode()
        return re.search(r"\r\d+ records read \033\[K", seen)

    wait_until(counted, 10, "the records are counted")
    told, _ = process.communicate(timeout=10)
    with contextlib.suppress(BlockingIOError, OSError):
        seen += os.read(ours, 65536).decode()
    os.close(ours)
    assert process.returncode == 0 and seen.endswith("\r\033[K"), seen
    assert "records read, " in told and "\033" not in told


def test_the_recipe_for_a_container(lab):
    """The configuration in doc/container.md reads what ulogd2 writes."""
    with open(os.path.join(ROOT, "doc/container.md"), encoding="utf-8") as file:
        recipe, = re.findall(r"```ini\n( *\[options\].*?)```", file.read(), re.S)
    config = lab.file("recipe.conf", re.sub("^ +", "", recipe, flags=re.M), 0o600)
    steps = [f"[knock]  IN=eth0 OUT= MAC= SRC=198.51.100.7 DST=192.0.2.1 LEN=60 TOS=00 PREC=0x00 "
             f"TTL=64 ID=1 DF PROTO={step} " for step in (
                 "TCP SPT=40000 DPT=7000 SEQ=1 ACK=0 WINDOW=64240 SYN URGP=0 MARK=0x0",
                 "UDP SPT=40001 DPT=9000 LEN=9 MARK=0x0",
                 "TCP SPT=40002 DPT=8000 SEQ=1 ACK=0 WINDOW=64240 SYN URGP=0 MARK=0")]
    done = lab.knocktail("replay", "-c", config, "--text", "-", "--log", "container",
                         input="\n".join(steps) + "\n")
    assert "door ssh would have opened for 198.51.100.7" in done.stdout, done


def test_doors_of_another_log(lab):
    config = lab.file("ulogd.conf", ULOGD, 0o600)
    done = lab.knocktail("replay", "-c", config, "--text", "-", input=ulogd_lines())
    assert done.returncode == 1
    for door, log in (("ssh", "ulogd"), ("also", "any")):
        assert (f"door {door} takes its probes from the log {log}, which text has not: "
                "give --log") in done.stderr
    done = lab.knocktail("replay", "-c", config, "--text", "-", "--log", "other", input="")
    assert done.returncode == 2 and "no section [log other]" in done.stderr
    assert lab.knocktail("replay", "-c", config, "--log", "ulogd").returncode == 2


def test_over_a_syslog_file(lab, past):
    """As rsyslog writes it, with and without the kernel's clock in the line."""
    records = [entry["MESSAGE"] for entry in lab.records()]
    for kernel_time in ("", "[12345.678901] "):
        text = "".join(f"Nov 22 21:00:{min(index // 10, 59):02} host kernel: {kernel_time}{line}\n"
                       for index, line in enumerate(records))
        check(lab.knocktail("replay", "-c", past["config"], "--text", "-", input=text), past)


def test_nothing_before_and_nothing_after(lab, past):
    for limits in (("--since", "2100-01-01"), ("--until", "2001-01-01")):
        done = lab.knocktail("replay", "-c", past["config"], *limits)
        assert done.returncode == 0, done.stderr
        assert not re.search(r"198\.51\.100", done.stdout)


def test_forged_lines_in_the_journal(lab, past):
    """replay believes no more than the daemon does."""
    for port in (7000, 8000, 9000):
        line = (f"{lab.prefix}IN=eth0 OUT= MAC= SRC=203.0.113.250 DST=192.0.2.1 LEN=60 TOS=0x00 "
                f"PREC=0x00 TTL=64 ID=1 DF PROTO=TCP SPT=1024 DPT={port} WINDOW=64240 RES=0x00 "
                "SYN URGP=0 ")
        lab.server.run("logger", "-u", "/run/systemd/journal/dev-log", "-p", "kern.warning",
                       "-t", "kernel", "--", line)
        lab.server.run("systemd-cat", "-t", "kernel", "echo", line)
    lab.wait_logged("203.0.113.250")
    done = lab.knocktail("replay", "-c", past["config"])
    assert "203.0.113.250" not in done.stdout


def test_garbage(lab, past):
    for text in ("", "\n" * 1000, "x" * 100000, f"{lab.prefix}IN=\n" * 10, "\0\x01\x7f\n"):
        done = lab.knocktail("replay", "-c", past["config"], "--text", "-", input=text)
        assert done.returncode == (1 if lab.prefix in text else 0), done.stderr


def test_files_that_are_none(lab, past):
    for options in (("--file", "/no/such/file"), ("--directory", "/no/such/directory"),
                    ("--text", "/no/such/file"), ("--file", past["config"])):
        done = lab.knocktail("replay", "-c", past["config"], *options)
        assert done.returncode == 1, done
        assert options[1] in done.stderr
