"""How the agent comes to its broker: by TLS, with a password, and to nobody else."""

import base64
import json
import os
import secrets
import shutil
import socket
import subprocess

import pytest

from hosts import ENVIRONMENT, wait_until
from lab import ROOT, program

CONFIG = """\
[fleet]
name = prod
host = {name}
key = {directory}/fleet.key
[broker]
host = {host}
port = {port}
ca = {directory}/{ca}.pem
user = {user}
password_file = {directory}/password
[doors]
ssh = ssh
"""

BROKER = """\
user root
listener {port} 127.0.0.1
certfile {directory}/broker.pem
keyfile {directory}/broker.key
allow_anonymous false
password_file {directory}/users
acl_file {root}/etc/mosquitto.acl
max_packet_size 4096
"""


def openssl(directory, *arguments):
    """Runs openssl(1) in the directory."""
    subprocess.run(["openssl", *arguments], cwd=directory, check=True, capture_output=True,
                   env=ENVIRONMENT, timeout=20)


def make_ca(directory, name):
    """Somebody who vouches for others."""
    openssl(directory, "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1",
            "-nodes", "-keyout", f"{name}.key", "-out", f"{name}.pem", "-days", "2", "-subj",
            f"/CN={name}")


@pytest.fixture
def place(tmp_path):
    """A directory with a broker that listens by TLS; its port."""
    for tool in ("mosquitto", "mosquitto_passwd", "openssl"):
        if not shutil.which(tool, path=ENVIRONMENT["PATH"]):
            pytest.skip(f"{tool} is not installed")
    make_ca(tmp_path, "ca")
    make_ca(tmp_path, "other")
    openssl(tmp_path, "req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
            "-keyout", "broker.key", "-out", "broker.csr", "-subj", "/CN=localhost")
    (tmp_path / "names").write_text("subjectAltName=DNS:localhost\n", "ascii")
    openssl(tmp_path, "x509", "-req", "-in", "broker.csr", "-CA", "ca.pem", "-CAkey", "ca.key",
            "-CAcreateserial", "-out", "broker.pem", "-days", "2", "-extfile", "names")
    subprocess.run(["mosquitto_passwd", "-c", "-b", tmp_path / "users", "web1", "secret"],
                   check=True, env=ENVIRONMENT, timeout=20)
    (tmp_path / "password").write_text("secret\n", "ascii")
    key = base64.b64encode(secrets.token_bytes(32)).decode()
    (tmp_path / "fleet.key").write_text(f"knocktail-fleet1 {key}\n", "ascii")
    (tmp_path / "fleet.key").chmod(0o600)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    (tmp_path / "broker.conf").write_text(BROKER.format(directory=tmp_path, port=port, root=ROOT), "ascii")
    with open(tmp_path / "broker.log", "wb") as log:
        broker = subprocess.Popen(["mosquitto", "-c", tmp_path / "broker.conf"], stdout=log,
                                  stderr=log, stdin=subprocess.DEVNULL, env=ENVIRONMENT)

    def listens():
        assert broker.poll() is None, (tmp_path / "broker.log").read_text()
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", port)) == 0

    wait_until(listens, 10, "the broker listens")
    yield tmp_path, port
    broker.terminate()
    broker.wait(10)


@pytest.mark.parametrize("wrong, problem", [
    ({}, None), ({"host": "127.0.0.1"}, "TLS"), ({"ca": "other"}, "TLS"),
    ({"user": "web2"}, "Not authorized"), ({"name": "web2"}, "does not let us write")],
    ids=["right", "name", "ca", "user", "topic"])
def test_tls_and_a_password(wrong, problem, place):
    directory, port = place
    fleetd = os.path.join(os.path.dirname(program("knocktail")), "knocktail-fleetd")
    if not os.access(fleetd, os.X_OK):
        pytest.skip("built without libmosquitto")
    values = {"directory": directory, "host": "localhost", "port": port, "ca": "ca", "user": "web1",
              "name": "web1"}
    (directory / "fleet.conf").write_text(CONFIG.format(**{**values, **wrong}), "ascii")
    agent = subprocess.Popen(
        [fleetd, "-c", directory / "fleet.conf"], stdin=subprocess.DEVNULL, stderr=subprocess.PIPE,
        env={**ENVIRONMENT, "RUNTIME_DIRECTORY": str(directory), "STATE_DIRECTORY": str(directory),
             "DBUS_SYSTEM_BUS_ADDRESS": f"unix:path={directory}/no-bus"})

    def report():
        path = directory / "report.json"
        found = json.loads(path.read_text("ascii")) if path.exists() else {}
        return found if found.get("broker") or found.get("problem") else None

    try:
        told = wait_until(lambda: (found := report()) and
                          (problem is None or found["problem"]) and found, 10, "it has tried")
        assert told["broker"] == (problem is None), told
        assert problem is None or problem in told["problem"], told
    finally:
        agent.terminate()
        _, errors = agent.communicate(timeout=10)
    assert agent.returncode == 0
    if "name" not in wrong:
        assert ("connected to the broker" in errors.decode()) == (problem is None)
