"""Whatever is not exactly the knock opens nothing."""

import signal
import time

import pytest

from doors import SENTINEL, ipset_door
from hosts import wait_until


def pause(seconds):
    """For what is about time itself."""
    time.sleep(seconds)


WRONG = {
    "nothing but the first": (7000,),
    "the last step missing": (7000, 8000),
    "the first step missing": (8000, 9000),
    "the middle step missing": (7000, 9000),
    "backwards": (9000, 8000, 7000),
    "two steps swapped": (7000, 9000, 8000),
    "a foreign port in between": (7000, 8000, 8500, 9000),
    "a foreign port at each step": (7000, 1, 8000, 2, 9000, 3),
    "the other protocol in between": (7000, "8000/udp", 8000, 9000),
    "a step over UDP": (7000, "8000/udp", 9000),
    "all over UDP": ("7000/udp", "8000/udp", "9000/udp"),
    "a step again, later": (7000, 8000, 7000, 9000),
    "a foreign port twice": (7000, 8000, 8500, 8500, 9000),
    "the guarded port in between": (7000, 8000, 22, 9000),
}


@pytest.mark.parametrize("version", [4, 6], ids=["IPv4", "IPv6"])
@pytest.mark.parametrize("steps", WRONG.values(), ids=WRONG)
def test_wrong_steps(steps, version, client, start, nothing_opened):
    daemon = start(ipset_door() + SENTINEL)
    client.knock(*steps, version=version)
    nothing_opened(daemon, client)


def test_a_wrong_start_does_not_spoil_the_knock_that_follows(client, start):
    start(ipset_door())
    client.knock(9000, 7000, 8000, 7000, 7000, 8000, 9000)
    client.wait_open()


def test_a_late_step(client, start, nothing_opened):
    daemon = start(ipset_door(seq_timeout="1s") + SENTINEL)
    client.knock(7000, 8000)
    pause(1.2)
    client.knock(9000)
    nothing_opened(daemon, client)


def test_steps_from_two_addresses(client, other, start, nothing_opened):
    daemon = start(ipset_door() + SENTINEL)
    client.knock(7000, 8000)
    other.knock(9000)
    other.knock(7000)
    client.knock(7000)
    other.knock(8000)
    nothing_opened(daemon, client, other)


def test_steps_from_two_families(client, start, nothing_opened):
    daemon = start(ipset_door() + SENTINEL)
    client.knock(7000, version=4)
    client.knock(8000, version=6)
    client.knock(9000, version=4)
    nothing_opened(daemon, client)


# The worst case for a defender: all steps within the scan, in the order in which it comes by.
SCANNED = ipset_door(sequence="300, 500, 900", seq_timeout="60s") \
    + ipset_door("descending", "1900, 1000, 100", seq_timeout="60s") \
    + ipset_door("udp", "300/udp, 500/udp, 900/udp", seq_timeout="60s")


@pytest.fixture
def scan(client, lab, needs):
    """Scans 2,000 ports, and sees that the firewall has seen it: not all of it may be logged, for
    the kernel's log has room for some 400 lines that journald has not read yet."""
    def run(*options, version=4):
        program = "iptables" if version == 4 else "ip6tables"
        lab.server.run(program, "-I", "INPUT", "-s", client.address(version))
        try:
            client.run("nmap", "-n", "-Pn", *options, "-p", "1-2000", "-T5", "--max-retries", 0,
                       "--min-rate", 2000, "--max-rate", 2000, "--max-rtt-timeout", "100ms",
                       client.peer(version), timeout=60)
            counted = lab.server.run(program, "-nvxL", "INPUT", "1").stdout.split()[0]
        finally:
            lab.server.run(program, "-D", "INPUT", "-s", client.address(version))
        assert int(counted) >= 2000, "the scan has reached the firewall"
    needs("nmap")
    return run


@pytest.mark.fills_the_kernel_log
@pytest.mark.parametrize("options", [("-sS", "-r"), ("-sS",), ("-sT", "-r"), ("-sU", "-r")],
                         ids=["ascending", "shuffled", "connecting", "UDP"])
def test_a_port_scan(options, client, start, scan, nothing_opened):
    daemon = start(SCANNED + SENTINEL)
    scan(*options)
    nothing_opened(daemon, client)


@pytest.mark.fills_the_kernel_log
def test_a_port_scan_over_ipv6(client, start, scan, nothing_opened):
    daemon = start(SCANNED + SENTINEL)
    scan("-6", "-sS", "-r", version=6)
    nothing_opened(daemon, client)


@pytest.mark.fills_the_kernel_log
def test_a_scan_in_steps_of_the_sequence(client, start, nothing_opened):
    """Every port is hit twice, downwards and upwards: each order of any three is in there."""
    daemon = start(SCANNED + SENTINEL)
    client.knock(*range(1, 2001))
    client.knock(*range(2000, 0, -1))
    nothing_opened(daemon, client)


@pytest.mark.parametrize("scan", ["-sA", "-sF", "-sN", "-sX", "-sM"])
def test_packets_that_open_no_connection(scan, client, start, needs, nothing_opened):
    """ACK, FIN, no flags at all, FIN+PSH+URG, FIN+ACK."""
    needs("nmap")
    daemon = start(ipset_door() + SENTINEL)
    for port in (7000, 8000, 9000):
        client.run("nmap", "-n", "-Pn", scan, "-p", port, "--max-retries", 0,
                   "--max-rtt-timeout", "100ms", client.peer())
    nothing_opened(daemon, client)


def test_a_source_that_is_not_allowed(client, other, start, nothing_opened):
    daemon = start(ipset_door(allow=f"{other.v4}, {other.v6}/128") + SENTINEL)
    other.knock(7000, 8000, 9000)
    other.wait_open()
    client.knock(7000, 8000, 9000)
    client.knock(7000, 8000, 9000, version=6)
    refusal = daemon.wait_message(f"door ssh refused to {client.v4}")
    assert "not" in refusal or "allow" in refusal
    assert not client.can_connect() and not client.can_connect(version=6)
    assert not daemon.messages("opened", SOURCE=client.v4)
    refused = [event for event in daemon.events(SOURCE=client.v4) if "refused" in event["MESSAGE"]]
    assert refused[0]["KNOCKTAIL_REASON"]


def test_another_interface_or_target(client, start, nothing_opened):
    daemon = start(ipset_door(interface="eth1")
                   + ipset_door("far", "7001, 8001", target="192.0.2.9") + SENTINEL)
    client.knock(7000, 8000, 9000, 7001, 8001)
    nothing_opened(daemon, client)


def test_the_right_interface_and_target(client, start):
    start(ipset_door(interface="eth0", target="192.0.2.1"))
    client.knock(7000, 8000, 9000)
    client.wait_open()


def with_flags(client, flags, *ports):
    for port in ports:
        client.run("hping3", "-q", *flags, "-c", 1, "-p", port, client.peer(), check=False,
                   timeout=3)


def test_flags_that_a_door_wants_and_does_not(client, other, start, needs, nothing_opened):
    """FIN and no SYN: what has a SYN neither is the knock nor gets in its way."""
    needs("hping3")
    daemon = start(ipset_door(tcpflags="fin, psh, !syn, !ack") + SENTINEL)
    other.knock(7000, 8000, 9000)
    with_flags(other, ["-F"], 7000, 8000, 9000)
    with_flags(other, ["-F", "-P", "-A"], 7000, 8000, 9000)
    nothing_opened(daemon, other)
    for port in (7000, 8000, 9000):
        with_flags(client, ["-F", "-P", "-U"], port)
        client.hit(port + 1)
    client.wait_open()


def test_more_doors_than_max_open(clients, start):
    daemon = start(ipset_door(max_open=2, timeout="10s"))
    first, second, third = clients(), clients(), clients()
    for client in (first, second):
        client.knock(7000, 8000, 9000)
        client.wait_open()
    third.knock(7000, 8000, 9000)
    daemon.wait_message(f"door ssh refused to {third.v4}")
    assert not third.can_connect()
    first.knock(7000, 8000, 9000)
    daemon.wait_message(f"door ssh renewed for {first.v4}")


def test_a_knock_before_the_daemon_ran(client, start, nothing_opened):
    client.knock(7000, 8000, 9000)
    daemon = start(ipset_door() + SENTINEL)
    nothing_opened(daemon, client)


def test_a_knock_that_began_before_the_daemon_ran(client, start, lab, nothing_opened):
    client.knock(7000, 8000)
    wait_until(lambda: any(f"SRC={client.v4} " in record["MESSAGE"] and "DPT=8000"
                           in record["MESSAGE"] for record in lab.records()), 3, "two steps")
    daemon = start(ipset_door() + SENTINEL)
    client.knock(9000)
    nothing_opened(daemon, client)


def test_a_late_reader_judges_by_the_time_of_the_packets(client, other, start, nothing_opened):
    """While the daemon stands still one client knocks well, the other too slowly."""
    daemon = start(ipset_door(seq_timeout="1s") + SENTINEL)
    daemon.signal(signal.SIGSTOP)
    other.knock(7000, 8000)
    pause(1.2)
    other.knock(9000)
    client.knock(7000, 8000, 9000)
    daemon.signal(signal.SIGCONT)
    client.wait_open()
    nothing_opened(daemon, other)


def test_a_knock_that_is_read_too_late(client, start):
    """max_age: nobody waits that long in front of a door."""
    daemon = start(ipset_door(), "max_age = 1s")
    daemon.signal(signal.SIGSTOP)
    client.knock(7000, 8000, 9000)
    pause(1.5)
    daemon.signal(signal.SIGCONT)
    daemon.wait_message("refused", SOURCE=client.v4)
    assert not daemon.messages("opened", SOURCE=client.v4)
    assert not client.can_connect()
