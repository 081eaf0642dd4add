"""What doc/fleet.md has an administrator type works as it stands, on two servers with systemd and the
packages' files; and what the unit promises holds there."""

import contextlib
import glob
import os
import re
import shutil
import socket
import subprocess
import threading

import pytest

from doors import ipset_door
from fleet import why_not
from hosts import ENVIRONMENT, wait_until
from lab import ROOT, Lab, program
from machine import Unavailable, booted

UNIT = "knocktail-fleetd.service"
DOOR = ipset_door(timeout="60s", fleet="yes")
BROKER = "one.example.net"
NETWORK = "10.99.0"     # between the two

# What the page types that is not here: an archive of packages, ssh, and somebody at an editor.
STAND_INS = """
apt() { :; }
editor() { for file; do cat "/root/edited/${file##*/}" >"$file"; done; }
scp() { [ "$1" = 'one:/etc/knocktail/fleet*' ] && cp /root/one/* "$2"; }
"""


def blocks(language):
    """The page's blocks of a language, each as its lines."""
    with open(os.path.join(ROOT, "doc/fleet.md"), encoding="utf-8") as file:
        return [text.splitlines() for text in
                re.findall(rf"^```{language}\n(.*?)^```$", file.read(), re.M | re.S)]


def connect(servers):
    """A cable between the two, and a firewall that lets them talk."""
    one, two = (lab.server for lab in servers)
    subprocess.run(["ip", "link", "add", "fleet0", "netns", str(one.pid), "type", "veth", "peer",
                    "name", "fleet0", "netns", str(two.pid)], check=True, env=ENVIRONMENT, timeout=20)
    for number, server in ((1, one), (2, two)):
        server.ip(f"address add {NETWORK}.{number}/24 dev fleet0", "link set fleet0 up")
        server.run("iptables", "-I", "INPUT", "-i", "fleet0", "-j", "ACCEPT")


def edit(machine, **files):
    """What the editor makes of these files."""
    for name, text in files.items():
        machine.write(f"/root/edited/fleet.{name}", text)


def types(machine, line):
    """Types a line, which succeeds."""
    machine.write("/root/stand-ins", STAND_INS)
    machine.write("/root/typed", "secret-one\n" * 2 + "secret-two\n" * 2)
    said = machine.run("bash", "-ec", f". /root/stand-ins\n{{ {line}\n}} </root/typed 2>&1").stdout
    print(f"$ {line}\n{said}")


@pytest.fixture(scope="module")
def machines(possible, tmp_path_factory):
    """Two servers with a door each, and a certificate for one."""
    if why_not() or not os.access(f"{os.path.dirname(program('knocktaild'))}/knocktail-fleetd", os.X_OK):
        pytest.skip(why_not() or "built without libmosquitto")
    place = tmp_path_factory.mktemp("ca")
    lines, = blocks("bash")
    subprocess.run(["bash", "-ec", "\n".join(lines)], cwd=place, check=True, capture_output=True,
                   env=ENVIRONMENT, timeout=20)
    with contextlib.ExitStack() as stack:
        made = []
        labs = [stack.enter_context(Lab()) for _ in range(2)]
        connect(labs)
        for lab in labs:
            try:
                machine = booted(lab, "mosquitto")
            except Unavailable as why:
                pytest.skip(f"no two servers: {why}")
            stack.callback(machine.close)
            machine.configure(DOOR)
            machine.write("/etc/hosts", f"127.0.0.1 localhost\n{NETWORK}.1 {BROKER}\n")
            machine.run("systemctl", "start", "knocktaild.service")
            made.append(machine)
        for name in ("mq.crt", "mq.key"):
            shutil.copy(place / name, f"{made[0].root}/etc/mosquitto/{name}")
        made[0].run("chown", "mosquitto", "/etc/mosquitto/mq.key")
        shutil.copy(place / "fleet-ca.pem", f"{made[0].root}/etc/knocktail/fleet-ca.pem")
        follow_the_page(*made)
        yield made


def follow_the_page(one, two):
    """Its ten commands."""
    config = "\n".join([*blocks("ini")[0], ""])
    edit(one, conf=config, password="secret-one\n")
    edit(two, password="secret-two\n")
    on_one, on_two = blocks("sh")
    assert [line.split("#")[-1].split()[0].strip(":") for line in on_one + on_two] == [
        str(number + 1) for number in range(10)]
    for line in on_one:
        types(one, line)
    os.makedirs(f"{two.root}/root/one")
    for path in glob.glob(f"{one.root}/etc/knocktail/fleet*"):
        shutil.copy(path, f"{two.root}/root/one")
    for line in on_two:
        types(two, line)
    for machine in (one, two):
        try:
            wait_until(lambda m=machine: "connected since" in m.run("knocktail", "fleet").stdout, 15,
                       "it is connected", 0.2)
        except AssertionError as error:
            raise AssertionError(f"{error}\n{machine.journal(UNIT)}\n"
                                 f"{one.journal('mosquitto.service')}") from None


def test_a_knock_at_either_opens_both(machines):
    opened = set()
    for here, there in (machines, machines[::-1]):
        client = here.lab.client()
        while client.v4 in opened:      # both laboratories begin with the same
            client = here.lab.client()
        opened.add(client.v4)
        client.knock(7000, 8000, 9000)
        wait_until(lambda c=client, m=there: c.v4 in m.lab.members(), 5, "it opens there")
        assert client.v4 in here.lab.members()
        name = "one" if here is machines[0] else "two"
        assert f"ssh\t{client.v4}\t@{name}\t" in there.run("knocktail", "list").stdout


def test_it_runs_as_its_own_user_without_capability(machines):
    machine = machines[1]
    properties = machine.properties(UNIT)
    assert properties["Type"] == "notify" and properties["ActiveState"] == "active"
    status = machine.run("cat", f"/proc/{properties['MainPID']}/status").stdout
    fields = {key: value.split() for key, _, value in
              (line.partition(":") for line in status.splitlines())}
    user = machine.run("id", "-u", "knocktail-fleet").stdout.strip()
    assert user != "0" and fields["Uid"] == [user] * 4
    for name in ("CapEff", "CapBnd", "CapPrm", "CapAmb"):
        assert int(fields[name][0], 16) == 0, name
    assert fields["NoNewPrivs"] == ["1"] and fields["Seccomp"] == ["2"]
    limits = machine.run("cat", f"/proc/{properties['MainPID']}/limits").stdout
    assert re.search(r"^Max core file size +0 +0 ", limits, re.M), "the key is in its memory"
    assert properties["PrivateUsers"] == "yes" and properties["RestartPreventExitStatus"] == "2"
    assert set(properties["RestrictAddressFamilies"].split()) == {"AF_UNIX", "AF_INET", "AF_INET6"}


def test_systemd_finds_little_to_blame(machines):
    told = machines[1].run("systemd-analyze", "security", "--no-pager", UNIT).stdout
    exposure = float(re.search(r"Overall exposure level for \S+: ([0-9.]+)", told).group(1))
    assert exposure < 2.0, told
    done = machines[1].run("systemd-analyze", "verify", "--man=no", UNIT, check=False)
    assert done.returncode == 0 and "knocktail" not in done.stderr, done.stderr


@pytest.fixture
def liar(machines):
    """The second of them, whose broker says that 256 MiB follow: of what a broker is asked not to send
    libmosquitto takes all."""
    machine = machines[1]
    path = "/etc/knocktail/fleet.conf"
    before = machine.run("cat", path).stdout
    with machine.lab.server.socket(socket.AF_INET, socket.SOCK_STREAM) as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()

        def lie():
            with contextlib.suppress(OSError):
                while True:
                    with listener.accept()[0] as agent:
                        agent.recv(4096)
                        agent.sendall(bytes.fromhex("2003000000" "30ffffff7f"))
                        agent.recv(1 << 20)

        threading.Thread(target=lie, daemon=True).start()
        machine.write(path, re.sub(r"(?s)\[broker\].*?\n\n", "[broker]\nhost = 127.0.0.1\n"
                                   f"port = {listener.getsockname()[1]}\n\n", before))
        machine.run("systemctl", "restart", UNIT)
        yield machine
        listener.shutdown(socket.SHUT_RDWR)
    machine.write(path, before)
    machine.run("systemctl", "restart", UNIT)


def test_a_broker_that_sends_too_much(liar):
    wait_until(lambda: "(Out of memory" in liar.run("knocktail", "fleet").stdout, 15, "it has hung up", 0.2)
    assert liar.properties(UNIT)["NRestarts"] == "0"


@pytest.mark.parametrize("number, said", [("KILL", "status=9/KILL"), ("STOP", "Watchdog timeout")])
def test_it_comes_back(number, said, machines):
    """From the dead, and where systemd has missed its signs of life."""
    one, two = machines
    drop_in = f"/run/systemd/system/{UNIT}.d/watchdog.conf"
    two.run("mkdir", "-p", os.path.dirname(drop_in))
    two.run("sh", "-c", f"printf '[Service]\\nWatchdogSec=1s\\nTimeoutAbortSec=1s\\n' >{drop_in}")
    two.run("systemctl", "daemon-reload")
    two.run("systemctl", "restart", UNIT)
    before = two.properties(UNIT)["MainPID"]
    two.run("systemctl", "kill", "--kill-whom=main", "-s", number, UNIT)
    wait_until(lambda: two.properties(UNIT)["MainPID"] not in ("0", before), 15, "it is started again")
    wait_until(lambda: two.properties(UNIT)["ActiveState"] == "active", 10, "it is ready")
    assert said in two.journal(UNIT)
    client = one.lab.client()
    client.knock(7000, 8000, 9000)
    wait_until(lambda: client.v4 in two.lab.members(), 15, "it opens there")
