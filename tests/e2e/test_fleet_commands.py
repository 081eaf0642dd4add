"""What `knocktail` has for a fleet: its key, its configuration, and what its agent reports."""

import base64
import datetime
import json
import os
import re
import stat
import subprocess
import time

import pytest

from hosts import ENVIRONMENT
from lab import program

DOOR = ("[options]\nlog_prefix = k\n[door ssh]\nsequence = 7000, 9000, 8000\nbackend = iptables\n"
        "ports = 22/tcp\nfleet = yes\n")
FLEET = """\
[fleet]
name = prod
host = web1
key = {key}
[broker]
socket = /run/broker
[doors]
{shares}
"""


def knocktail(*arguments):
    """Runs the administrator's program; never raises for its exit status."""
    return subprocess.run([program("knocktail"), *map(str, arguments)], capture_output=True,
                          text=True, env=ENVIRONMENT, timeout=20, check=False)


def test_keygen_makes_a_key_for_a_fleet(tmp_path):
    path = tmp_path / "fleet.key"
    done = knocktail("keygen", "--fleet", path)
    assert done.returncode == 0, done
    word, key = path.read_text("ascii").split()
    assert word == "knocktail-fleet1" and len(base64.b64decode(key)) == 32
    assert key not in done.stdout
    assert stat.S_IMODE(path.stat().st_mode) & 0o137 == 0
    # One that is there stays.
    again = knocktail("keygen", "--fleet", path)
    assert again.returncode == 1 and "not overwritten" in again.stderr
    assert path.read_text("ascii").split()[1] == key
    # Nothing is left behind.
    assert os.listdir(tmp_path) == ["fleet.key"]
    for more in (("--qr",), ("--host", "a"), ("--door", "ssh"), ("--url", "https://a/"),
                 ("--no-passphrase",)):
        assert knocktail("keygen", "--fleet", *more, tmp_path / "other").returncode == 2, more


@pytest.fixture
def config(tmp_path):
    """A configuration with a door, and a key for a fleet beside it."""
    path = tmp_path / "knocktail.conf"
    path.write_text(DOOR, "ascii")
    path.chmod(0o600)
    assert knocktail("keygen", "--fleet", tmp_path / "fleet.key").returncode == 0
    return path


def write_fleet(config, text=FLEET, shares="ssh = ssh"):
    """Writes the fleet.conf."""
    path = config.parent / "fleet.conf"
    path.write_text(text.format(key=config.parent / "fleet.key", shares=shares), "ascii")
    return path


def test_check_reads_the_fleet_as_well(config):
    done = knocktail("check", "-c", config)
    fleet = config.parent / "fleet.conf"
    assert done.returncode == 0 and "warnings: 1" in done.stdout, done
    assert f"{fleet}: warning: there is no such file, but the door ssh says fleet = yes" in done.stderr
    write_fleet(config)
    done = knocktail("check", "-c", config)
    assert done.returncode == 0 and not done.stderr, done
    config.write_text(DOOR + DOOR[DOOR.index("[door"):].replace("ssh", "web").replace("8000", "8001"), "ascii")
    done = knocktail("check", "-c", config)
    assert done.returncode == 0, done
    assert f"{fleet}: warning: [doors]: the door web, which says fleet = yes, is not" in done.stderr
    config.write_text(DOOR, "ascii")
    write_fleet(config, shares="web = web")
    done = knocktail("check", "-c", config)
    assert done.returncode == 2
    assert f"{fleet}:8: error: [doors]: there is no door web in the configuration" in done.stderr
    write_fleet(config)
    config.write_text(DOOR.replace("fleet = yes\n", ""), "ascii")
    done = knocktail("check", "-c", config)
    assert done.returncode == 2
    assert f"{fleet}:8: error: [doors]: the door ssh does not say fleet = yes" in done.stderr
    config.write_text(DOOR, "ascii")
    write_fleet(config, FLEET.replace("web1", "web/1"))
    done = knocktail("check", "-c", config, "-o", "json")
    assert done.returncode == 2
    told = json.loads(done.stdout)
    assert not told["ok"] and told["complaints"][0]["file"] == str(fleet)
    assert told["complaints"][0]["line"] == 3
    if os.geteuid() == 0:
        write_fleet(config)
        (config.parent / "fleet.key").chmod(0o644)
        done = knocktail("check", "-c", config)
        assert done.returncode == 2 and "may read it" in done.stderr


@pytest.mark.skipif(os.geteuid() != 0, reason="for root")
def test_check_looks_into_the_files(config, tmp_path):
    broker = ("host = mq.example.net\nca = {ca}\nuser = web1\npassword_file = {password}")
    text = FLEET.replace("socket = /run/broker", broker)
    (tmp_path / "ca.pem").write_text("-----END CERTIFICATE-----\n", "ascii")
    (tmp_path / "other.pem").write_text("-----BEGIN CERTIFICATE-----\n", "ascii")
    for name, mode in (("password", 0o640), ("open", 0o644)):
        (tmp_path / name).write_text("secret\n", "ascii")
        (tmp_path / name).chmod(mode)
    os.mkfifo(tmp_path / "pipe")
    for ca, password, line, said in (
            ("ca.pem", "password", 0, None), ("other.pem", "password", 7, "no whole certificate"),
            ("pipe", "password", 7, "not a file"), ("ca.pem", ".", 9, "not a file"),
            ("ca.pem", "open", 9, "may read it"), ("gone", "password", 7, "No such file")):
        fleet = write_fleet(config, text.replace("{ca}", str(tmp_path / ca))
                            .replace("{password}", str(tmp_path / password)))
        done = knocktail("check", "-c", config)
        assert done.returncode == (2 if said else 0), (ca, password, done)
        assert not said or (f"{fleet}:{line}: error: " in done.stderr and said in done.stderr)
    fleet.unlink()
    os.mkfifo(fleet)
    done = knocktail("check", "-c", config)
    assert done.returncode == 2 and f"{fleet}: error: it is not a file" in done.stderr


def test_the_agent_refuses_what_check_does(config):
    if not os.access(os.path.join(os.path.dirname(program("knocktail")), "knocktail-fleetd"), os.X_OK):
        pytest.skip("built without libmosquitto")
    fleet = write_fleet(config, FLEET.replace("[doors]", "[broken]"))
    done = subprocess.run([program("knocktail-fleetd"), "-c", fleet], capture_output=True, text=True,
                          env=ENVIRONMENT, timeout=20, check=False)
    assert done.returncode == 2 and f"{fleet}:7: there is no section [broken]" in done.stderr
    write_fleet(config)
    (config.parent / "fleet.key").write_text("knocktail-fleet1 short\n", "ascii")
    done = subprocess.run([program("knocktail-fleetd"), "-c", fleet], capture_output=True, text=True,
                          env=ENVIRONMENT, timeout=20, check=False)
    assert done.returncode == 2 and "not a fleet's key" in done.stderr


def test_the_agent_has_a_command_line(config):
    if not os.access(os.path.join(os.path.dirname(program("knocktail")), "knocktail-fleetd"), os.X_OK):
        pytest.skip("built without libmosquitto")

    def fleetd(*arguments):
        return subprocess.run([program("knocktail-fleetd"), *map(str, arguments)], capture_output=True,
                              text=True, env=ENVIRONMENT, timeout=20, check=False)

    for option in ("-h", "--help"):
        done = fleetd(option)
        assert done.returncode == 0 and done.stdout.startswith("Usage: knocktail-fleetd [-c FILE]\n"), done
    for option in ("-V", "--version"):
        done = fleetd(option)
        assert done.returncode == 0 and re.match(r"knocktail-fleetd [\d.]+\nbuilt with ", done.stdout), done
    for wrong, said in (("--nonsense", "--help"), ("more", "unexpected argument 'more'")):
        done = fleetd(wrong)
        assert done.returncode == 2 and said in done.stderr and not done.stdout, done
    # Where there is no configuration, or none that is whole.
    fleet = write_fleet(config, FLEET[:FLEET.index("[broker]")])
    done = fleetd("-c", fleet)
    assert done.returncode == 2 and done.stderr.startswith(f"{fleet}: [broker] needs either"), done
    fleet.unlink()
    done = fleetd("-c", fleet)
    assert done.returncode == 2 and done.stderr == f"{fleet}: No such file or directory\n", done
    done = fleetd("-c", config.parent)
    assert done.returncode == 2 and done.stderr == f"{config.parent}: it is not a file\n", done


def test_fleet_shows_the_report(tmp_path):
    path = tmp_path / "report.json"
    assert knocktail("fleet", "--report", path).returncode == 3
    now = int(time.time() * 1e6)
    report = {"fleet": "prod", "host": "web1", "written_us": now, "since_us": now, "broker": False,
              "broker_since_us": 0, "daemon": True, "problem": "Connection refused",
              "counts": {"sent": 2, "forged": 1, "old": 0},
              "shares": [{"host": "web2", "door": "ssh", "open": 1, "said_us": now - 5000000}],
              "open": [{"door": "ssh", "source": "198.51.100.7", "host": "web2", "user": "alice",
                        "deadline_us": now + 60000000}]}
    path.write_text(json.dumps(report), "ascii")
    done = knocktail("fleet", "--report", path)
    assert done.returncode == 0, done
    for text in ("fleet prod, host web1", "not connected (Connection refused)", "sent 2, forged 1",
                 "s\n\nssh\t198.51.100.7\talice\tweb2\t"):
        assert text in done.stdout, done.stdout
    age = int(re.search(r"^web2\tssh\t1\t(\d+)s$", done.stdout, re.M).group(1))
    assert 5 <= age <= 5 + time.time() - now / 1e6
    assert "DOOR" not in done.stdout, "headlines are for a terminal"
    told = json.loads(knocktail("fleet", "--report", path, "-o", "json").stdout)
    iso = r"20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{6})?Z"
    assert re.fullmatch(iso, told.pop("written")) and re.fullmatch(iso, told.pop("since"))
    until = told["open"][0].pop("until")
    assert abs(datetime.datetime.fromisoformat(until.replace("Z", "+00:00")).timestamp() - now / 1e6 - 60) < 1
    assert re.fullmatch(iso, told["shares"][0].pop("said"))
    assert told == {
        "fleet": "prod", "host": "web1", "broker": False, "broker_since": None,
        "problem": "Connection refused", "daemon": True, "refusal": None,
        "counts": {"sent": 2, "forged": 1, "old": 0},
        "shares": [{"host": "web2", "door": "ssh", "open": 1}],
        "open": [{"door": "ssh", "source": "198.51.100.7", "user": "alice", "host": "web2"}]}
    path.write_text(json.dumps({**report, "broker": True, "broker_since_us": now, "daemon": False}), "ascii")
    done = knocktail("fleet", "--report", path)
    assert "broker: connected since 20" in done.stdout and "knocktaild: not on the bus\n" in done.stdout, done
    assert knocktail("fleet", "--report", path, "more").returncode == 2
    # It is of an agent that is gone.
    report["written_us"] = now - 120 * 1000000
    path.write_text(json.dumps(report), "ascii")
    assert knocktail("fleet", "--report", path).returncode == 3
    # Or of one that does not know what time it is.
    report["written_us"] = 2**63
    path.write_text(json.dumps(report), "ascii")
    assert knocktail("fleet", "--report", path).returncode == 3
    path.write_text("{}", "ascii")
    assert knocktail("fleet", "--report", path).returncode == 1


@pytest.mark.parametrize("where", ["problem", "host", "name"])
def test_a_report_does_nothing_to_a_terminal(where, tmp_path):
    path = tmp_path / "report.json"
    report = {"fleet": "prod", "written_us": int(time.time() * 1e6), "problem": "", "counts": {},
              "shares": [{"host": "b", "door": "ssh", "open": 1, "said_us": 1}], "open": []}
    if where == "host":
        report["shares"][0]["host"] = "b\x1b]0;title\x07"
    else:
        report["problem" if where == "problem" else "counts"] = (
            "\x1b[2J" if where == "problem" else {"\x1b[2J": 1})
    path.write_text(json.dumps(report), "ascii")
    for form in ("text", "json"):
        done = knocktail("fleet", "--report", path, "-o", form)
        assert done.returncode == 1 and "\x1b" not in done.stdout + done.stderr, done


def test_what_is_not_a_report_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    os.symlink("/etc/passwd", tmp_path / "link")
    for name in ("pipe", "link"):
        done = knocktail("fleet", "--report", tmp_path / name)
        assert done.returncode == 1, done
