"""A bad configuration: both programs say where and why, and the daemon does not run."""

import json
import os
import signal

import pytest

from doors import ipset_door
from lab import DAEMON_UID, ROOT

GOOD = ipset_door()
LINES = 3   # of [options] and what is in there, before the doors begin

BAD = {
    "an unknown key": (GOOD.replace("timeout", "timeuot", 1), 3),
    "an unknown section": (f"[dor ssh]\n{GOOD}", 1),
    "a key twice": (GOOD + "timeout = 3s\n", 9),
    "a door twice": (GOOD + GOOD, 9),
    "a port out of range": (ipset_door(sequence="7000, 65536"), 2),
    "port 0": (ipset_door(sequence="0, 7000"), 2),
    "an unknown protocol": (ipset_door(sequence="7000/sctp"), 2),
    "no number": (ipset_door(sequence="7000, x"), 2),
    "an empty sequence": (ipset_door(sequence=""), 2),
    "a wrong duration": (ipset_door(timeout="soon"), 4),
    "a negative duration": (ipset_door(timeout="-1s"), 4),
    "no time at all": (ipset_door(timeout="0"), 4),
    "an unknown backend": (ipset_door(backend="ipfw"), 5),
    "an unknown flag": (GOOD + "tcpflags = syn, nak\n", 9),
    "a wrong address": (GOOD + "allow = 198.51.100.0/33\n", 9),
    "a line without a value": (GOOD + "timeout\n", 9),
    "no ini at all": ("-----BEGIN PGP MESSAGE-----\n", 1),
    "a long line": (GOOD + "allow = " + "192.0.2.1, " * 200 + "192.0.2.1\n", None),
}


@pytest.mark.parametrize("doors, line", BAD.values(), ids=BAD)
def test_a_mistake_is_named_with_its_line(doors, line, lab):
    path = lab.config(doors)
    where = f"{path}:{line + LINES}: error: " if line else f"{path}:"
    for argv in ((lab.daemon_path, "-c", path), (lab.cli_path, "check", "-c", path),
                 (lab.cli_path, "replay", "-c", path, "--text", "/dev/null")):
        done = lab.server.run(*argv, check=False, timeout=5)
        assert done.returncode == 2, done
        assert where in done.stderr, done.stderr


def test_two_mistakes_are_named_at_once(lab):
    done = lab.knocktail("check", "-c", lab.config(ipset_door(sequence="0", timeout="soon")))
    assert done.returncode == 2
    assert done.stderr.count(": error: ") == 2


def test_the_log_prefix_is_required(lab):
    path = lab.file("no-prefix.conf", f"[options]\nmax_sources = 10\n{GOOD}")
    for argv in ((lab.daemon_path, "-c", path), (lab.cli_path, "check", "-c", path)):
        done = lab.server.run(*argv, check=False)
        assert done.returncode == 2
        assert "log_prefix" in done.stderr


@pytest.mark.parametrize("mode", [0o660, 0o646], ids=["group", "others"])
def test_a_file_that_others_may_write_is_refused(mode, lab):
    path = lab.config(GOOD, mode=mode)
    for argv in ((lab.daemon_path, "-c", path), (lab.cli_path, "check", "-c", path)):
        done = lab.server.run(*argv, check=False)
        assert done.returncode == 2
        assert "writ" in done.stderr and path in done.stderr


def test_a_missing_file(lab):
    for argv in ((lab.daemon_path, "-c", "/no/such/file"),
                 (lab.cli_path, "check", "-c", "/no/such/file")):
        done = lab.server.run(*argv, check=False)
        assert done.returncode == 2
        assert "/no/such/file" in done.stderr and "No such file" in done.stderr


def test_an_unreadable_file(lab):
    path = lab.config(GOOD, mode=0o600)
    done = lab.server.run("setpriv", f"--reuid={DAEMON_UID}", f"--regid={DAEMON_UID}",
                          "--clear-groups", lab.daemon_path, "-c", path, check=False)
    assert done.returncode == 2
    assert path in done.stderr and "ermission denied" in done.stderr


def test_a_directory_in_place_of_a_file(lab):
    done = lab.server.run(lab.daemon_path, "-c", "/run/lab", check=False)
    assert done.returncode == 2
    assert "/run/lab" in done.stderr


def test_a_good_file_passes(lab):
    done = lab.knocktail("check", "-c", lab.config(GOOD))
    assert done.returncode == 0, done.stderr
    assert "doors: 1" in done.stdout


def test_a_warning_is_no_error(lab):
    """One step is few, and an ascending sequence is what a scan sends."""
    for sequence in ("7000", "1, 2, 3"):
        done = lab.knocktail("check", "-c", lab.config(ipset_door(sequence=sequence)))
        assert done.returncode == 0
        assert f":{2 + LINES}: warning: " in done.stderr


@pytest.mark.parametrize("argv", [("--no-such-option",), ("-c",), ("-c", "x", "y")])
def test_wrong_usage(argv, lab):
    done = lab.server.run(lab.daemon_path, *argv, check=False, timeout=5)
    assert done.returncode == 2
    assert done.stderr
    done = lab.knocktail(*argv)
    assert done.returncode == 2
    assert done.stderr


def test_no_secret_is_told(client, start, lab):
    """Neither the journal nor standard error ever holds a sequence."""
    daemon = start(ipset_door(sequence="7654, 8765, 9876"))
    client.knock(7654, 8765, 9876)
    client.wait_open()
    daemon.signal(signal.SIGHUP)
    os.rename(lab.server.path(lab.config(ipset_door(sequence="7654, 8765, 98765"))),
              lab.server.path(daemon.config))
    daemon.reload()
    daemon.stop()
    told = daemon.stderr() + "".join(daemon.messages(""))
    assert "opened" in told
    assert "7654" not in told and "8765" not in told and "9876" not in told.replace("98765", "")


def test_complaints_as_json(lab):
    path = lab.config(ipset_door(timeout="soon") + ipset_door("b", "1, 2, 3", nonsense="1"))
    done = lab.knocktail("check", "-c", path, "-o", "json")
    told = json.loads(done.stdout)
    assert (done.returncode, told["ok"], told["doors"], done.stderr) == (2, False, None, "")
    text = lab.knocktail("check", "-c", path).stderr.splitlines()
    assert len(text) >= 2
    assert text == [f"{item['file']}:{item['line']}: {item['kind']}: {item['text']}"
                    for item in told["complaints"]]
    odd = f"{path}: error: 7"
    lab.server.run("cp", "-p", path, odd)
    told = json.loads(lab.knocktail("check", "-c", odd, "-o", "json").stdout)
    assert {item["file"] for item in told["complaints"]} == {odd}
    missing = json.loads(lab.knocktail("check", "-c", "/no/such/file", "-o", "json").stdout)
    assert missing["complaints"][0]["file"] == "/no/such/file"
    assert missing["complaints"][0]["line"] is None


def test_a_live_check_as_json(lab):
    path = lab.config(ipset_door(set="nowhere", set_6=None) + ipset_door("b", "3, 1, 2"))
    done = lab.knocktail("check", "--live", "-c", path, "-o", "json")
    told = json.loads(done.stdout)
    assert (done.returncode, told["ok"], told["doors"]) == (1, False, 2)
    problem, = told["problems"]
    assert problem["door"] == "ssh" and "nowhere" in problem["text"]


SAMPLE = os.path.join(ROOT, "etc/knocktail.conf")


def sample_doors():
    """The doors of the sample configuration, each with all that belongs to it uncommented."""
    with open(SAMPLE, encoding="ascii") as file:
        blocks = [block for block in file.read().split("\n\n") if "#[door " in block]
    for block in blocks:
        lines = block[block.index("#[door "):].splitlines()
        yield "\n".join(line.removeprefix("#") for line in lines).replace(
            "sequence =", "sequence = 8000, 7000/udp, 9000") + "\n"


@pytest.mark.parametrize("door", sample_doors(), ids=lambda door: door.split("]")[0][6:])
def test_a_door_of_the_sample_as_a_whole(door, lab):
    """Uncommented it works, and narrows nothing that is not there."""
    with open(SAMPLE, encoding="ascii") as file:
        config = lab.file("sample.conf", file.read() + door, 0o600)
    done = lab.knocktail("check", "-c", config)
    assert done.returncode == 0 and "ok (doors: 1" in done.stdout, done
    told = lab.knocktail("rules", "nft" if "inet knock" in door else "iptables", "-c", config)
    assert told.returncode == 0, told


def test_a_live_check_of_what_is_not_here(lab):
    """It may be there one day: a warning."""
    path = lab.config(ipset_door(interface="eth7") + ipset_door("b", "3, 1, 2", interface="l+")
                      + ipset_door("c", "4, 2, 3", target="203.0.113.5"))
    done = lab.knocktail("check", "--live", "-c", path, "-o", "json")
    told = json.loads(done.stdout)
    assert (done.returncode, told["ok"], told["problems"]) == (0, True, []), told
    assert [(item["door"], item["text"].split(":")[0]) for item in told["warnings"]
            if "network namespace" not in item["text"]] == [
        ("ssh", "this machine has no interface eth7"),
        ("c", "this machine has no address 203.0.113.5")]
    assert "door ssh: warning: this machine has no" in lab.knocktail(
        "check", "--live", "-c", path).stderr


def test_somebody_elses_configuration_is_worth_a_word(lab):
    """Who may change the file decides who gets in and what is run."""
    config = lab.config(ipset_door())
    assert "belongs to" not in lab.knocktail("check", "-c", config).stderr
    os.chown(lab.server.path(config), 12345, 0)
    done = lab.knocktail("check", "-c", config)
    assert done.returncode == 0
    assert "the file belongs to the user with the number 12345, who can change it" in done.stderr
