"""How the agent comes to its broker: by TLS, with a password, and to nobody else."""

import base64
import contextlib
import json
import os
import secrets
import shutil
import socket
import subprocess

import pytest

from hosts import ENVIRONMENT, Host, wait_until
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
{shown}user = {user}
password_file = {directory}/password
[doors]
ssh = ssh
"""

SHOWN = """\
certificate = {directory}/web1.pem
private_key = {directory}/web1.key
"""

# For all, and for those with a certificate.
PORT, PORT_OF_KNOWN = 8883, 8884

BROKER = """\
user root
listener {port} 127.0.0.1
certfile {directory}/broker.pem
keyfile {directory}/broker.key
listener {port_of_known} 127.0.0.1
certfile {directory}/broker.pem
keyfile {directory}/broker.key
cafile {directory}/ca.pem
require_certificate true
allow_anonymous false
password_file {directory}/users
acl_file {root}/etc/mosquitto.acl
max_packet_size 4096
"""


def openssl(directory, *arguments):
    """Runs openssl(1) in the directory."""
    subprocess.run(["openssl", *arguments], cwd=directory, check=True, capture_output=True,
                   env=ENVIRONMENT, timeout=20)


def make_ca(directory, name, days=2):
    """Somebody who vouches for others."""
    openssl(directory, "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1",
            "-nodes", "-keyout", f"{name}.key", "-out", f"{name}.pem", "-days", str(days), "-subj",
            f"/CN={name}")


def make_signed(directory, name, common_name):
    """A certificate by that ca, and its key."""
    openssl(directory, "req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
            "-keyout", f"{name}.key", "-out", f"{name}.csr", "-subj", f"/CN={common_name}")
    (directory / "names").write_text(f"subjectAltName=DNS:{common_name}\n", "ascii")
    openssl(directory, "x509", "-req", "-in", f"{name}.csr", "-CA", "ca.pem", "-CAkey", "ca.key",
            "-CAcreateserial", "-out", f"{name}.pem", "-days", "2", "-extfile", "names")


@pytest.fixture
def place(possible, tmp_path):
    """A directory, and a host with a broker that listens by TLS."""
    for tool in ("mosquitto", "mosquitto_passwd", "openssl"):
        if not shutil.which(tool, path=ENVIRONMENT["PATH"]):
            pytest.skip(f"{tool} is not installed")
    make_ca(tmp_path, "ca")
    make_ca(tmp_path, "other")
    (tmp_path / "cut.pem").write_text((tmp_path / "ca.pem").read_text("ascii")[:200], "ascii")
    make_signed(tmp_path, "broker", "localhost")
    make_signed(tmp_path, "web1", "web1")
    subprocess.run(["mosquitto_passwd", "-c", "-b", tmp_path / "users", "web1", "secret"],
                   check=True, env=ENVIRONMENT, timeout=20)
    (tmp_path / "password").write_text("secret\n", "ascii")
    key = base64.b64encode(secrets.token_bytes(32)).decode()
    (tmp_path / "fleet.key").write_text(f"knocktail-fleet1 {key}\n", "ascii")
    (tmp_path / "fleet.key").chmod(0o600)
    (tmp_path / "broker.conf").write_text(BROKER.format(
        directory=tmp_path, port=PORT, port_of_known=PORT_OF_KNOWN, root=ROOT), "ascii")
    with contextlib.closing(Host(["--net"], "ip link set lo up; echo ready; exec cat")) as host:
        with open(tmp_path / "broker.log", "wb") as log:
            broker = host.popen(["mosquitto", "-c", tmp_path / "broker.conf"], stdout=log, stderr=log)

        def listens(port):
            assert broker.poll() is None, (tmp_path / "broker.log").read_text()
            with host.socket() as probe:
                return probe.connect_ex(("127.0.0.1", port)) == 0

        for port in (PORT, PORT_OF_KNOWN):
            wait_until(lambda port=port: listens(port), 10, "the broker listens")
        yield tmp_path, host
        broker.terminate()
        broker.wait(10)


@pytest.mark.parametrize("wrong, problem", [
    ({}, None), ({"host": "127.0.0.1"}, "host is not a name in the broker's certificate"),
    ({"ca": "other"}, "is not by ca"),
    ({"ca": "cut"}, "ca holds no certificates"),
    ({"user": "web2"}, "Not authorized"), ({"name": "web2"}, "does not let us write"),
    ({"shown": SHOWN}, None), ({"shown": ""}, "wants a certificate"),
    ({"shown": SHOWN.replace("web1.pem", "other.pem").replace("web1.key", "other.key")},
     "does not take certificate"),
    ({"shown": SHOWN.replace("web1.key", "ca.key")}, "is not of certificate")],
    ids=["right", "name", "ca", "cut ca", "user", "topic", "certificate", "no certificate",
         "wrong certificate", "wrong key"])
def test_tls_and_a_password(wrong, problem, place):
    directory, host = place
    fleetd = os.path.join(os.path.dirname(program("knocktail")), "knocktail-fleetd")
    if not os.access(fleetd, os.X_OK):
        pytest.skip("built without libmosquitto")
    values = {"host": "localhost", "port": PORT_OF_KNOWN if "shown" in wrong else PORT, "ca": "ca",
              "user": "web1", "name": "web1", "shown": "", **wrong}
    # What is shown names the directory as well.
    (directory / "fleet.conf").write_text(
        CONFIG.format(directory="{directory}", **values).format(directory=directory), "ascii")
    agent = host.popen(
        [fleetd, "-c", directory / "fleet.conf"], stderr=subprocess.PIPE,
        env={"RUNTIME_DIRECTORY": str(directory), "STATE_DIRECTORY": str(directory),
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


# It takes who comes, and does not let it subscribe; of MQTT 5.
TAKEN, REFUSED = bytes.fromhex("2003000000"), bytes.fromhex("90040001" "0087")


@pytest.mark.parametrize("answers, problem", [
    ([], "timed out"), ([TAKEN, REFUSED], "does not let us read the fleet's topics")],
    ids=["says nothing", "lets nobody read"])
def test_a_broker_that(answers, problem, tmp_path):
    fleetd = os.path.join(os.path.dirname(program("knocktail")), "knocktail-fleetd")
    if not os.access(fleetd, os.X_OK):
        pytest.skip("built without libmosquitto")
    key = base64.b64encode(secrets.token_bytes(32)).decode()
    (tmp_path / "fleet.key").write_text(f"knocktail-fleet1 {key}\n", "ascii")
    (tmp_path / "fleet.key").chmod(0o600)
    (tmp_path / "fleet.conf").write_text(
        f"[fleet]\nname = prod\nhost = web1\nkey = {tmp_path}/fleet.key\n"
        f"[broker]\nsocket = {tmp_path}/broker\n[doors]\nssh = ssh\n", "ascii")
    report = tmp_path / "report.json"
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(f"{tmp_path}/broker")
        listener.listen()
        listener.settimeout(10)
        agent = subprocess.Popen(
            [fleetd, "-c", tmp_path / "fleet.conf"], stdin=subprocess.DEVNULL, stderr=subprocess.PIPE,
            env={**ENVIRONMENT, "RUNTIME_DIRECTORY": str(tmp_path), "STATE_DIRECTORY": str(tmp_path),
                 "DBUS_SYSTEM_BUS_ADDRESS": f"unix:path={tmp_path}/no-bus"})
        try:
            with listener.accept()[0] as connection:
                for answer in answers:
                    assert connection.recv(4096)
                    connection.sendall(answer)
                wait_until(report.exists, 10, "it reports")
                wait_until(lambda: problem in json.loads(report.read_text("ascii"))["problem"], 15,
                           "it gives up")
        finally:
            agent.terminate()
            agent.communicate(timeout=10)
