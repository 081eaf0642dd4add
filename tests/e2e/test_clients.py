"""The clients beside knocktap: Python's standard library, a POSIX shell with openssl, and knocktap as one
static file, as tools/static builds it."""

import os
import re
import shutil
import subprocess
import sys

import pytest

import oracle
from doors import ipset_door
from hosts import ENVIRONMENT, wait_until
from lab import DAEMON_UID, ROOT

CLIENTS = os.path.join(ROOT, "clients")
PYTHON, SHELL = f"{CLIENTS}/knocktap.py", f"{CLIENTS}/knocktap.sh"
STATIC = os.path.join(ROOT, "build", "static", "knocktap")
SHELLS = [shell for shell in ("dash", "bash", "ksh", "mksh", "busybox")
          if shutil.which(shell, path=ENVIRONMENT["PATH"])]

SECRET = bytes(range(100, 132))


def vectors():
    """The tokens that knocktail-protocol(7) shows."""
    with open(os.path.join(ROOT, "tests", "vectors", "knocks"), encoding="ascii") as file:
        for block in file.read().split("\n\n"):
            fields = dict(re.findall("^([a-z_]+) = (.*)$", block, re.MULTILINE))
            if fields.get("knock") == "token":
                yield fields


def key_file(directory, lines, mode=0o600):
    path = directory / "alice.key"
    path.write_text(lines)
    path.chmod(mode)
    return path


def shell(*arguments, name="sh", **environment):
    """Runs the shell's client."""
    argv = ["busybox", "sh"] if name == "busybox" else [name]
    return subprocess.run([*argv, SHELL, *arguments], capture_output=True, text=True, check=False,
                          stdin=subprocess.DEVNULL, timeout=60, env={**ENVIRONMENT, **environment})


def shell_ports(name, fields, tmp_path):
    """The ports that it shows when its clock has a vector's time."""
    clock = tmp_path / "date"
    clock.write_text(f"#!/bin/sh\ncase $1 in -u) exec /bin/date \"$@\" ;; *) echo {fields['time']} ;; esac\n")
    clock.chmod(0o755)
    source = [] if fields["source"] == "-" else ["-s", fields["source"]]
    path = key_file(tmp_path, f"knocktail2 {fields['realm']} {fields['key']}\n")
    done = shell("-n", f"-{fields['fam']}", *source, path, fields["door"].upper(), "host", name=name,
                 PATH=f"{tmp_path}:{ENVIRONMENT['PATH']}")
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


def test_python_computes_the_vectors(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(CLIENTS)
    import knocktap
    for fields in vectors():
        path = key_file(tmp_path, f"knocktail2 {fields['realm']} {fields['key']}\nsince 2020-01-01\n")
        source = None if fields["source"] == "-" else knocktap.an_address(fields["source"])
        ports = knocktap.token_ports(knocktap.read_base(path), fields["door"], int(fields["time"]) // 30,
                                     int(fields["fam"]), source)
        assert " ".join(map(str, ports)) == fields["ports"]


def test_a_shell_computes_the_vectors(tmp_path, needs):
    needs("openssl")
    for i, fields in enumerate(vectors()):
        assert shell_ports(SHELLS[i % len(SHELLS)], fields, tmp_path) == fields["ports"] + "\n"


@pytest.mark.parametrize("name", SHELLS)
def test_ports_that_are_the_same_are_moved(name, tmp_path, needs, monkeypatch):
    """Some key has them; the independent implementation knows which."""
    needs("openssl")
    monkeypatch.syspath_prepend(CLIENTS)
    import knocktap
    base = oracle.base_of(SECRET, oracle.REALM)
    step = next(step for step in range(100000)
                if len(set(oracle.raw_ports(base, "ssh", 4, step))) < 8)
    right = oracle.token_ports(base, "ssh", step * 30)
    assert knocktap.token_ports(base, "ssh", step, 4) == right
    fields = {"time": step * 30, "source": "-", "fam": 4, "door": "ssh", "realm": oracle.REALM,
              "key": oracle.key_line(SECRET).split()[2]}
    assert shell_ports(name, fields, tmp_path) == " ".join(map(str, right)) + "\n"


@pytest.mark.parametrize("address, digits", [
    ("198.51.100.7", "ffffc6336407"), ("2001:DB8:c::7", "20010db8000c" + "0" * 19 + "7"),
    ("::1", "0" * 31 + "1"), ("2001:db8::", "20010db8" + "0" * 24),
    ("1:2:3:4:5:6:7:8", "00010002000300040005000600070008")])
def test_a_shell_reads_addresses(address, digits):
    with open(SHELL, encoding="ascii") as file:
        function = re.search(r"^addr16\(\) \{\n.*?^\}\n", file.read(), re.MULTILINE | re.DOTALL)[0]
    said = subprocess.run(["sh", "-c", f"{function}addr16 {address}"], capture_output=True, text=True,
                          check=True, timeout=20, env=ENVIRONMENT).stdout
    assert said == digits.rjust(32, "0")


LINE = oracle.key_line(SECRET)


@pytest.mark.parametrize("lines, mode, complaint", [
    (LINE, 0o640, "chmod 600"), (LINE, 0o602, "chmod 600"), ("", 0o600, "does not hold a key"),
    (LINE.replace("2 ", "1 ", 1), 0o600, "does not hold a key"),
    (LINE[:-3], 0o600, "does not hold a key"),
    (f"{LINE}expires 2024-02-29\n", 0o600, "expired on 2024-02-29"),
    (f"{LINE}since 2024-01-01\nexpires 2024-02-29T10:00:00Z", 0o600, "expired on 2024-02-29T10"),
    (f"{LINE}since 2999-01-01\n", 0o600, "good from 2999-01-01 on"),
    (LINE.replace(oracle.REALM, "Bar"), 0o600, "does not hold a key"),
    (LINE.replace(oracle.REALM, "b" * 65), 0o600, "does not hold a key"),
    (LINE.replace(oracle.REALM, "b$c"), 0o600, "does not hold a key")])
@pytest.mark.parametrize("client", [PYTHON, SHELL], ids=["Python", "shell"])
def test_a_key_that_is_none_is_told(client, lines, mode, complaint, tmp_path):
    done = subprocess.run([client, key_file(tmp_path, lines, mode), "ssh", "127.0.0.1"], timeout=60,
                          capture_output=True, text=True, check=False, env=ENVIRONMENT)
    assert done.returncode == 1 and complaint in done.stderr and "alice.key" in done.stderr
    assert len(done.stderr.splitlines()) == 1 and LINE.split()[2][:20] not in done.stderr


@pytest.mark.parametrize("client", [PYTHON, SHELL], ids=["Python", "shell"])
def test_misuse_is_told(client, tmp_path):
    path = key_file(tmp_path, f"{LINE}expires 2999-01-01\n{LINE}expires 2001-01-01\n")
    for words, status in (((), 2), ((path, "ssh"), 2), (("-x", path, "ssh", "::1"), 2),
                          (("-n", tmp_path / "none", "ssh", "::1"), 1)):
        if client == PYTHON and words[:1] == ("-n",):
            words = words[1:]
        done = subprocess.run([client, *words], capture_output=True, text=True, check=False, timeout=60,
                              env=ENVIRONMENT)
        assert done.returncode == status and done.stderr and "Traceback" not in done.stderr, words
    # Only what stands before the second key is the first one's.
    assert shell("-n", path, "ssh", "::1").returncode == 0


@pytest.mark.parametrize("source", ["1.2.3", "1.2.3.4.5", "1.2.3.256", "1.2.3.", "1.2.3.4x", "0x1.2.3.4", "",
                                    "1.2.3.0004", "::1::", "1::2::3", ":::", "1:2:3:4:5:6:7", "12345::",
                                    "1:2:3:4:5:6:7:8:9", ":1:2:3:4:5:6:7", "1:2:3:4:5:6:7:", "::g", "a.b.c.d",
                                    "1::3:4:5:6:7:8:9", "::1.2.3.4"])
@pytest.mark.parametrize("name", SHELLS)
def test_a_shell_takes_no_other_addresses(source, name, tmp_path, needs):
    needs("openssl")
    done = shell("-n", "-s", source, key_file(tmp_path, LINE), "ssh", "host", name=name)
    assert (done.returncode, done.stdout) == (1, "") and "is not an address" in done.stderr


@pytest.mark.parametrize("words, complaint", [
    (("ssh", "a" * 70 + ".example"), "not the name or address of a host"),
    (("ssh", "a..b"), "not the name or address of a host"),
    (("ssh", "-4", "--source", "::1", "127.0.0.1"), "the other family"),
    (("ssh", "--source", "::1", "127.0.0.1"), "family"), (("ssh", "--source", "1.2.3", "127.0.0.1"), "invalid"),
    (("", "127.0.0.1"), "door"), (("-ssh", "127.0.0.1"), "usage"), (("s h", "127.0.0.1"), "door"),
    ((b"ss\xff", "127.0.0.1"), "door"), (("a" * 33, "127.0.0.1"), "door")])
def test_python_is_clear_about_what_it_does_not_take(words, complaint, tmp_path):
    done = subprocess.run([sys.executable, "-I", "-S", PYTHON, key_file(tmp_path, LINE), *words], timeout=60,
                          capture_output=True, text=True, check=False, env=ENVIRONMENT)
    assert done.returncode in (1, 2) and complaint in done.stderr and "Traceback" not in done.stderr


@pytest.mark.parametrize("words, complaint", [
    (("-4", "-s", "::1", "ssh", "host"), "the other family"), (("-s", "::1", "ssh", "host", "-4"), "usage"),
    (("-s", "1.2.3.4", "ssh", "::1"), "the other family"), (("", "host"), "door"), (("s h", "host"), "door"),
    (("a" * 33, "host"), "door")])
def test_a_shell_is_clear_about_what_it_does_not_take(words, complaint, tmp_path):
    at = 2 * ("-s" in words) + ("-4" in words[:1])
    done = shell("-n", *words[:at], key_file(tmp_path, LINE), *words[at:])
    assert done.returncode in (1, 2) and complaint in done.stderr and not done.stdout


@pytest.fixture
def keys(lab):
    """The server's side: a directory with alice's key, as lines of the configuration."""
    directory = f"/run/lab/keys-{next(lab.numbers)}"
    os.mkdir(lab.server.path(directory), 0o750)
    path = lab.server.path(f"{directory}/alice.key")
    with open(path, "w", encoding="ascii") as file:
        file.write(LINE)
    os.chmod(path, 0o640)
    for name in (directory, f"{directory}/alice.key"):
        os.chown(lab.server.path(name), 0, DAEMON_UID)
    return f"keys = {directory}\nrealm = {oracle.REALM}"


def command(client, path, host, door, version, source):
    """What a user types."""
    if client == "static":
        if not os.path.exists(STATIC):
            pytest.skip("tools/static has not built it")
        return [STATIC, *(["--source", source] if source else []), "--key", path, "--door", door, host]
    if client == "Python":
        # Nothing but the standard library.
        return [sys.executable, "-I", "-S", PYTHON, *(["--source", source] if source else []), path, door, host]
    return ["sh", SHELL, f"-{version}", *(["-s", source] if source not in (None, "none") else []), path,
            door, host]


@pytest.mark.parametrize("bound", [False, True], ids=["unbound", "bound"])
@pytest.mark.parametrize("version", [4, 6], ids=["IPv4", "IPv6"])
@pytest.mark.parametrize("client_name", ["Python", "shell", "static"])
def test_a_token_opens_a_door(client_name, version, bound, client, other, start, keys, tmp_path, needs):
    needs("openssl")
    daemon = start(ipset_door(sequence=None, seq_timeout=None, auth="token", users="alice", timeout="10s",
                              bind_source="yes" if bound else "no"), keys)
    source = "none"
    if bound:
        source = client.address(version) if client_name == "shell" else None
    assert not client.can_connect(version=version)
    done = client.run(*command(client_name, key_file(tmp_path, LINE), client.peer(version), "SSH", version,
                               source), check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    client.wait_open(version=version)
    assert not other.can_connect(version=version)
    assert [event["KNOCKTAIL_USER"] for event in daemon.events(SOURCE=client.address(version))] == ["alice"]


@pytest.mark.parametrize("client_name", ["Python", "shell"])
def test_a_shut_door_stays_so_for_somebody_elses_key(client_name, client, start, keys, tmp_path, needs,
                                                     lab):
    needs("openssl")
    daemon = start(ipset_door(sequence=None, seq_timeout=None, auth="token", users="alice"), keys)
    path = key_file(tmp_path, oracle.key_line(bytes(32)))
    client.run(*command(client_name, path, client.peer(), "ssh", 4, None))
    wait_until(lambda: sum(f"SRC={client.address()} " in record["MESSAGE"]
                           for record in lab.records()) >= 8, 3, "all has been logged")
    assert not client.can_connect() and not daemon.events(SOURCE=client.address())


def test_no_secret_is_an_argument(tmp_path, needs):
    """Neither of a program that the shell's client starts, nor of one that those start."""
    needs("openssl", "strace")
    log = tmp_path / "log"
    key = key_file(tmp_path, LINE)
    subprocess.run(["strace", "-f", "-e", "trace=execve", "-s", "4096", "-o", log, "sh", SHELL, "-n", key,
                    "ssh", "::1"], check=True, timeout=120, env=ENVIRONMENT, capture_output=True)
    said = log.read_text()
    base = oracle.base_of(SECRET, oracle.REALM)
    assert said.count("openssl") >= 7
    for secret in (SECRET, base):
        assert secret.hex()[:16] not in said
    assert LINE.split()[2][:16] not in said
