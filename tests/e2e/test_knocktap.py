"""knocktap, the client: what it sends opens doors, and it goes in."""

import contextlib
import os
import re
import signal
import subprocess

import pytest

from doors import ipset_door, iptables_door
from hosts import wait_until
from lab import program

KNOCKS = {
    "tcp": ("7000", "8000", "9000"),
    "udp": ("7000/udp", "8000:udp", "9000/UDP"),
    "mixed": ("7000", "8000/udp", "9000", "7000"),
}


@pytest.fixture
def tap(client):
    """Runs knocktap on the client; it knows no profiles but those it is given."""
    def run(*arguments, check=True, **kwargs):
        done = client.run(program("knocktap"), *arguments, check=False, **kwargs)
        if check:
            assert done.returncode == 0, f"{arguments}: {done.returncode}\n{done.stderr}"
        return done
    return run


def sent(lab, client, version=4):
    """What has been logged of the client's knocks, in order: (protocol, port, to)."""
    address = client.address(version)
    if version == 6:
        address = ":".join(f"{int(group or '0', 16):04x}" for group in
                           address.replace("::", ":" * (9 - address.count(":"))).split(":"))
    found = []
    for record in lab.records():
        fields = re.search(rf" SRC={re.escape(address)} DST=(\S+) .*"
                           r"PROTO=(TCP|UDP) .*DPT=(\d+)", record["MESSAGE"])
        if fields and fields[3] != "22":
            found.append((fields[2].lower(), int(fields[3]), fields[1]))
    return found


@pytest.mark.parametrize("protocols", KNOCKS)
@pytest.mark.parametrize("version", [4, 6], ids=["IPv4", "IPv6"])
def test_a_sequence_opens_the_door(version, protocols, client, start, tap):
    steps = KNOCKS[protocols]
    daemon = start(ipset_door(sequence=", ".join(steps)))
    done = tap(client.peer(version), *steps)
    assert (done.stdout, done.stderr) == ("", "")
    client.wait_open(version=version)
    assert len(daemon.events(DOOR="ssh", SOURCE=client.address(version))) == 1


def test_the_options_of_knockds_client(client, start, tap):
    start(ipset_door(sequence="7000/udp, 8000/tcp, 9000/udp"))
    done = tap("-v", "-u", "-d", 5, "-4", client.peer(), "7000", "8000:tcp", "9000")
    assert done.stderr == f"knocktap: sent a sequence to {client.peer()}\n"
    client.wait_open()


def test_each_step_is_one_packet_whatever_comes_back(lab, client, start, tap):
    """With a daemon that opens, and with none; and where the server answers that it is closed."""
    tap(client.peer(), "7000", "8000/udp", "9000")
    lab.wait_logged("DPT=9000")
    before = sent(lab, client)
    assert before == [("tcp", 7000, client.peer()), ("udp", 8000, client.peer()),
                      ("tcp", 9000, client.peer())]
    start(ipset_door(sequence="7000, 8000/udp, 9000"))
    tap(client.peer(), "7000", "8000/udp", "9000")
    client.wait_open()
    assert sent(lab, client) == before * 2
    lab.server.run("iptables", "-A", "INPUT", "-s", client.address(), "-j", "REJECT")
    try:
        tap(client.peer(), "7000", "8000/udp", "8000/udp", "9000")
    finally:
        lab.server.run("iptables", "-D", "INPUT", "-s", client.address(), "-j", "REJECT")
    wait_until(lambda: len(sent(lab, client)) == 10, 3, "four more packets were logged")
    assert [port for _, port, _ in sent(lab, client)[6:]] == [7000, 8000, 8000, 9000]


@pytest.mark.parametrize("version", [4, 6], ids=["IPv4", "IPv6"])
def test_wait_returns_when_the_port_accepts(version, client, start, tap):
    start(ipset_door())
    tap("--wait", 22, client.peer(version), 7000, 8000, 9000)
    assert client.can_connect(version=version)


def test_wait_gives_up_after_its_timeout(client, start, tap):
    start(ipset_door())
    done = tap("--wait", 22, "--timeout", "400ms", client.peer(), 7000, 8000, 9001, check=False)
    assert done.returncode == 1
    assert "port 22 does not accept: Connection timed out" in done.stderr
    # What came last of a knock that was not right is not the beginning of the next one.
    tap("--wait", 22, "--timeout", "5s", client.peer(), 7000, 8000, 9000)


def in_hosts_file(client, text, argv, tmp_path, **kwargs):
    """Runs a program that finds these lines in /etc/hosts."""
    hosts = tmp_path / "etc-hosts"
    hosts.write_text(text)
    return client.run("unshare", "--mount", "sh", "-c",
                      'mount --bind "$0" /etc/hosts && exec "$@"', hosts, *argv, **kwargs)


@pytest.mark.parametrize("option, versions", [((), None), (("-4",), 4), (("-6",), 6)],
                         ids=["any", "-4", "-6"])
def test_all_addresses_of_a_name_are_knocked_at(option, versions, lab, client, tmp_path):
    """Of one family: the one that a connection would try first."""
    with contextlib.ExitStack() as stack:
        for address, how in (("192.0.2.77/24", ""), ("2001:db8::77/32", "nodad")):
            lab.server.ip(f"address add {address} dev eth0 {how}")
            stack.callback(lab.server.ip, f"address del {address} dev eth0")
        names = "".join(f"{address} gateway.test\n" for address in (
            "192.0.2.1", "192.0.2.77", "2001:db8::1", "2001:db8::77", "192.0.2.77"))
        first = in_hosts_file(client, names, ["getent", "ahosts", "gateway.test"],
                              tmp_path).stdout.split()[0]
        in_hosts_file(client, names,
                      [program("knocktap"), *option, "gateway.test", 7000, "7001/udp"], tmp_path)
        version = versions or (6 if ":" in first else 4)
        wait_until(lambda: len(sent(lab, client, version)) >= 4, 3, "four packets were logged")
        knocked = sent(lab, client, version)
        assert sent(lab, client, 10 - version) == []
        assert [(protocol, port) for protocol, port, _ in knocked] == [
            ("tcp", 7000), ("udp", 7001)] * 2
        assert len({address for _, _, address in knocked}) == 2


def test_a_name_that_does_not_resolve(client, tap, tmp_path):
    done = in_hosts_file(client, "", [program("knocktap"), "nobody.invalid", 7000], tmp_path,
                         check=False)
    assert done.returncode == 1
    assert done.stderr.startswith("knocktap: nobody.invalid: ")


def test_no_way_to_the_host(client, tap):
    client.ip("route del 192.0.2.0/24")
    done = tap(client.peer(), 7000, check=False)
    assert done.returncode == 1
    assert done.stderr == f"knocktap: cannot knock at {client.peer()}: Network is unreachable\n"


# Going in


def relay(client, *arguments, port=22, version=4, **kwargs):
    """Starts knocktap -W."""
    kwargs = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE,
              **kwargs}
    host = f"[{client.peer(6)}]" if version == 6 else client.peer()
    return client.popen([program("knocktap"), "-W", f"{host}:{port}", *arguments], **kwargs)


@pytest.mark.parametrize("version", [4, 6], ids=["IPv4", "IPv6"])
def test_data_passes_both_ways(version, client, start):
    start(ipset_door(timeout="10s"))
    host = client.peer(version)
    process = relay(client, host, "7000", "8000", "9000", version=version)
    lines = b"".join(b"line %d\n" % i for i in range(100000))
    out, err = process.communicate(lines, timeout=20)
    assert (process.returncode, err) == (0, b"")
    assert out == b"hello from port 22\n" + lines


def test_the_end_of_the_input_is_passed_on_and_the_rest_still_comes(lab, client, start):
    """Half-closed: the server answers when it has seen the end."""
    start(iptables_door(ports="2250/tcp", timeout="10s"))
    server = lab.server.spawn(
        ["socat", "tcp-listen:2250,reuseaddr", "system:wc -c; echo goodbye"])
    wait_until(lambda: ":2250" in lab.server.run("ss", "-Hltn").stdout, 5, "socat listens")
    process = relay(client, client.peer(), "7000", "8000", "9000", port=2250)
    out, err = process.communicate(b"x" * 300000, timeout=20)
    assert (process.returncode, err) == (0, b"")
    assert out.split() == [b"300000", b"goodbye"]
    server.wait(5)


def test_the_end_of_the_output_is_passed_on_while_the_input_goes_on(lab, client, start):
    """The other half: the server ends first and goes on reading."""
    start(iptables_door(ports="2251/tcp", timeout="10s"))
    code = ("import socket, sys; s = socket.create_server(('', 2251)).accept()[0]; "
            "s.shutdown(socket.SHUT_WR); "
            "print(len(b''.join(iter(lambda: s.recv(65536), b''))), flush=True)")
    server = lab.server.spawn(["/usr/bin/python3", "-c", code], stdout=subprocess.PIPE)
    wait_until(lambda: ":2251" in lab.server.run("ss", "-Hltn").stdout, 5, "the server listens")
    process = relay(client, client.peer(), "7000", "8000", "9000", port=2251)
    assert process.stdout.read() == b""
    process.stdin.write(b"x" * 100000)
    process.stdin.close()
    assert server.stdout.readline() == b"100000\n"
    assert process.wait(5) == 0
    server.stdout.close()
    process.stdout.close()
    process.stderr.close()


def test_a_reader_that_goes_away_ends_it(client, start):
    """Its last words, already written, still reach the server: ssh says goodbye like this."""
    daemon = start(iptables_door(ports="2252/tcp", timeout="10s"))
    server = daemon.lab.server.spawn(["socat", "-u", "tcp-listen:2252,reuseaddr", "-"],
                                     stdout=subprocess.PIPE)
    wait_until(lambda: ":2252" in daemon.lab.server.run("ss", "-Hltn").stdout, 5, "socat listens")
    process = relay(client, "-v", client.peer(), "7000", "8000", "9000", port=2252)
    for line in process.stderr:
        if b"accepts" in line:
            break
    process.send_signal(signal.SIGSTOP)
    process.stdin.write(b"goodbye\n" * 7000)
    process.stdin.flush()
    process.stdout.close()
    process.send_signal(signal.SIGCONT)
    assert process.wait(5) == 0
    assert server.stdout.read() == b"goodbye\n" * 7000
    assert process.stderr.read() == b""
    process.stdin.close()
    process.stderr.close()
    server.stdout.close()


def test_without_a_door_there_is_no_connection(client, start):
    start(ipset_door())
    process = relay(client, "--timeout", "300ms", client.peer(), "7000", "9000")
    out, err = process.communicate(b"", timeout=10)
    assert (process.returncode, out) == (1, b"")
    assert b"port 22 does not accept" in err


SSHD_PORT = 2260

SSHD_CONFIG = """\
Port {port}
HostKey {directory}/host_key
PidFile none
AuthorizedKeysFile {directory}/authorized_keys
StrictModes no
UsePAM no
PasswordAuthentication no
"""


@pytest.fixture
def sshd(lab, needs):
    """A real sshd in the server, and the words that an ssh needs to log in."""
    needs("sshd", "ssh", "ssh-keygen")
    directory = f"/run/lab/ssh-{next(lab.numbers)}"
    lab.server.run("mkdir", "-p", "-m", "700", directory, "/run/sshd")
    for key in ("host_key", "user_key"):
        lab.server.run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", f"{directory}/{key}")
    lab.server.run("cp", f"{directory}/user_key.pub", f"{directory}/authorized_keys")
    config = lab.file(f"sshd-{next(lab.numbers)}.conf",
                      SSHD_CONFIG.format(port=SSHD_PORT, directory=directory))
    errors = lab.server.path(f"{directory}/errors")
    with open(errors, "wb") as file:
        process = lab.server.spawn(["/usr/sbin/sshd", "-D", "-e", "-f", config], stderr=file)
    wait_until(lambda: f":{SSHD_PORT}" in lab.server.run("ss", "-Hltn").stdout, 5, "sshd listens")
    yield ["ssh", "-F", "none", "-o", "BatchMode=yes", "-o", "StrictHostKeyChecking=no",
           "-o", "UserKnownHostsFile=/dev/null", "-o", "LogLevel=ERROR",
           "-i", lab.server.path(f"{directory}/user_key"), "-p", str(SSHD_PORT)]
    os.kill(process.inner, signal.SIGTERM)
    process.wait(5)
    with open(errors, encoding="utf-8", errors="replace") as file:
        print(f"sshd said:\n{file.read()}")


@pytest.mark.parametrize("version", [4, 6], ids=["IPv4", "IPv6"])
def test_ssh_goes_in_through_it(version, client, start, sshd, tmp_path):
    """ProxyCommand knocktap -W %h:%p, with a profile that says how to knock."""
    daemon = start(iptables_door(ports=f"{SSHD_PORT}/tcp", timeout="3s", sequence="7000, 8000/udp"))
    hosts = tmp_path / "hosts"
    hosts.write_text(f"Host {client.peer(version)}\n  Knock sequence\n  Sequence 7000 8000/udp\n")
    proxy = f"ProxyCommand={program('knocktap')} -F {hosts} -W %h:%p"
    done = client.run(*sshd, "-o", "ProxyCommand=none", "-o", "ConnectTimeout=1",
                      f"root@{client.peer(version)}", "true", check=False)
    assert done.returncode == 255, "the door is shut"
    done = client.run(*sshd, "-o", proxy, f"root@{client.peer(version)}", "cat; echo out; exit 7",
                      input="in" * 100000, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (7, "in" * 100000 + "out\n", "")
    assert len(daemon.events(DOOR="ssh", SOURCE=client.address(version))) >= 1


def test_a_relay_that_waits_does_not_spin(client, start):
    """An hour of ssh must not cost an hour of processor: not with one half closed either."""
    start(ipset_door(timeout="10s"))
    process = relay(client, client.peer(), "7000", "8000", "9000")
    assert process.stdout.readline() == b"hello from port 22\n"

    def cpu_ticks():
        with open(f"/proc/{process.pid}/stat", encoding="ascii") as file:
            fields = file.read().rpartition(") ")[2].split()
        return int(fields[11]) + int(fields[12])

    # nsenter has become knocktap: no process in between.
    before = cpu_ticks()
    for i in range(20):
        process.stdin.write(b"%d\n" % i)
        process.stdin.flush()
        assert process.stdout.readline() == b"%d\n" % i
        assert not client.can_connect(port=7999, timeout=0.02)
    assert cpu_ticks() - before < 10
    process.stdin.close()
    assert process.wait(5) == 0
    process.stdout.close()
    process.stderr.close()
