"""A way that loses one packet in five, there and back: knocktap goes on knocking."""

import os
import statistics
import time

import pytest

import oracle
from doors import ipset_door
from lab import DAEMON_UID, program

N_CLIENTS = int(os.environ.get("KNOCKTAIL_LOSSY_CLIENTS", "8"))
SEQUENCE = (7000, 9000, 8000)


@pytest.fixture
def loss(lab):
    """Drops one packet in five, of what comes in and of what goes out."""
    rules = [("PREROUTING", "-i"), ("OUTPUT", "-o")]
    for chain, way in rules:
        lab.server.run("iptables", "-t", "raw", "-I", chain, way, "eth0", "-m", "statistic",
                       "--mode", "random", "--probability", "0.2", "-j", "DROP")
    yield
    for chain, _ in rules:
        lab.server.run("iptables", "-t", "raw", "-F", chain)


@pytest.fixture
def key(lab, tmp_path):
    """The options of a server that has alice's key, and a copy of that."""
    line = oracle.key_line(os.urandom(32))
    directory = lab.server.path(f"/run/lab/keys-{next(lab.numbers)}")
    os.mkdir(directory, 0o750)
    for path in (os.path.join(directory, "alice.key"), tmp_path / "alice.key"):
        with open(path, "w", encoding="ascii") as file:
            file.write(line)
        os.chmod(path, 0o600)
    os.chown(directory, DAEMON_UID, DAEMON_UID)
    os.chown(os.path.join(directory, "alice.key"), DAEMON_UID, DAEMON_UID)
    return tmp_path / "alice.key", f"keys = /run/lab/{os.path.basename(directory)}\n" \
                                   f"realm = {oracle.REALM}\nmax_open_user = 1000"


@pytest.mark.parametrize("kind", ["token", "spa", "sequence"])
def test_everybody_gets_in(kind, clients, start, key, loss):
    path, options = key
    names = [f"door{i}" for i in range(N_CLIENTS)]
    # A door each, for a token of one key opens each door once in 30 seconds.
    doors = ipset_door(sequence=", ".join(map(str, SEQUENCE)), timeout="30s") if (
        kind == "sequence") else "".join(
            ipset_door(name, sequence=None, seq_timeout=None, auth=kind, users="*", timeout="30s")
            for name in names)
    daemon = start(doors, options)
    took = []
    for name in names:
        client = clients()
        how = SEQUENCE if kind == "sequence" else (
            "--key", path, "--door", name, *(["--spa"] if kind == "spa" else []))
        words = ["--wait", 22, "--timeout", "8s"]
        command = ([*words, client.peer(), *how] if kind == "sequence" else
                   [*words, *how, client.peer()])
        began = time.monotonic()
        client.run(program("knocktap"), *command)
        took.append(time.monotonic() - began)
        if kind != "sequence":
            daemon.wait_message("opened", SOURCE=client.v4)
            assert len(daemon.messages("opened", SOURCE=client.v4)) == 1, "it is one knock"
        assert not daemon.messages("refused", SOURCE=client.v4)
    print(kind, "took", *(f"{one:.2f}" for one in sorted(took)))
    assert kind == "sequence" or statistics.median(took) < 1
