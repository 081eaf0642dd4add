"""Lines that look like the firewall's but are not: neither a local nor a remote user opens a door.

The forgers have an unfair advantage: they copy the very lines that the kernel wrote about the
client, put them into the order of the knock, and know the prefix.
"""

import re
import socket
import struct

import pytest

from doors import SENTINEL, ipset_door
from hosts import wait_until

PORTS = (7000, 8000, 9000)
DOOR = ipset_door(seq_timeout="60s") + SENTINEL

SYSLOG = "/run/systemd/journal/dev-log"
NATIVE = "/run/systemd/journal/socket"
STREAM = "/run/systemd/journal/stdout"

# Runs inside the lab: standard input goes to a datagram or stream socket.
SEND = """
import socket, sys
kind, path = sys.argv[1:3]
sock = socket.socket(socket.AF_UNIX, getattr(socket, "SOCK_" + kind))
sock.connect(path)
sock.sendall(sys.stdin.buffer.read())
"""

# Dies of a wild pointer under a name of its own choosing.
CRASH = """
import ctypes, resource, sys
resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
libc = ctypes.CDLL(None)
libc.prctl(15, sys.argv[1].encode(), 0, 0, 0)
ctypes.string_at(1)
"""


def real_lines(lab, client):
    """What the kernel wrote about a client that knocked backwards, in the order of the knock."""
    client.knock(*reversed(PORTS))

    def lines():
        found = {}
        for line in (record["MESSAGE"] for record in lab.records()):
            for port in PORTS:
                if f"SRC={client.v4} " in line and f" DPT={port} " in line:
                    found[port] = line
        return [found[port] for port in PORTS] if len(found) == len(PORTS) else None

    lines = wait_until(lines, 3, "three real lines")
    # Other packets than those that were seen: nothing may look like a retransmission.
    return [re.sub(r"SPT=\d+", f"SPT={20000 + index}", re.sub(r" ID=\d+", f" ID={index}", line))
            for index, line in enumerate(lines)]


def send(lab, data, path, kind="DGRAM", **kwargs):
    """Writes to one of journald's sockets."""
    return lab.server.run("/usr/bin/python3", "-c", SEND, kind, path, input=data, **kwargs)


def with_logger(lab, line):
    lab.server.run("logger", "-u", SYSLOG, "-t", "kernel", "--", line)


def with_logger_as_the_kernel(lab, line):
    lab.server.run("logger", "-u", SYSLOG, "-p", "kern.warning", "-t", "kernel", "--", line)


def with_raw_syslog(lab, line):
    send(lab, f"<4>kernel: {line}", SYSLOG)


def with_raw_syslog_and_no_tag(lab, line):
    send(lab, f"<4>{line}", SYSLOG)


def with_newlines_in_syslog(lab, line):
    send(lab, f"<4>kernel: x\n<4>{line}\n{line}", SYSLOG)


def with_systemd_cat(lab, line):
    lab.server.run("systemd-cat", "-t", "kernel", "-p", "warning", "printf", "%s\\n", line)


def with_a_service_s_output(lab, line):
    """The stream protocol: identifier, unit, priority, level prefix, three forwards."""
    send(lab, f"kernel\n\n4\n1\n0\n0\n0\n<4>{line}\n", STREAM, "STREAM")


def with_native_fields(lab, line):
    send(lab, f"SYSLOG_IDENTIFIER=kernel\nSYSLOG_FACILITY=0\nPRIORITY=4\n_TRANSPORT=kernel\n"
              f"_KERNEL_SUBSYSTEM=net\nMESSAGE={line}\n", NATIVE)


def with_native_newlines(lab, line):
    """A value in the binary form, that journald must not take for more fields."""
    value = f"x\n_TRANSPORT=kernel\nSYSLOG_FACILITY=0\nMESSAGE={line}\n"
    size = struct.pack("<Q", len(value)).decode("latin-1")
    assert size.isascii(), "standard input is text"
    send(lab, f"SYSLOG_FACILITY=0\nMESSAGE\n{size}{value}\n", NATIVE)


def with_native_message_twice(lab, line):
    send(lab, f"_TRANSPORT=journal\n_TRANSPORT=kernel\nSYSLOG_FACILITY=0\nMESSAGE=x\n"
              f"MESSAGE={line}\n", NATIVE)


def kmsg(lab, text):
    """/dev/kmsg, which root may write."""
    with open("/dev/kmsg", "wb", buffering=0) as file:
        file.write(text.encode())


def with_kmsg(lab, line):
    kmsg(lab, f"{line}\n")


def with_kmsg_as_facility_0(lab, line):
    kmsg(lab, f"<6>{line}\n")


def with_kmsg_as_facility_256(lab, line):
    """256 becomes 0 where it is cut to a byte."""
    kmsg(lab, f"<{256 << 3 | 6}>{line}\n")


def with_kmsg_as_a_negative_facility(lab, line):
    kmsg(lab, f"<-2>{line}\n")


def with_newlines_in_kmsg(lab, line):
    """A record of /dev/kmsg inside a record, and fields of a kernel device."""
    kmsg(lab, f"x\n6,1,1,-;{line}\n _TRANSPORT=kernel\n SYSLOG_FACILITY=0\n")


LOCAL = [value for name, value in list(globals().items())
         if name.startswith("with_") and callable(value)]


@pytest.mark.parametrize("forge", LOCAL, ids=lambda forge: forge.__name__[5:].replace("_", "-"))
def test_written_by_a_local_user(forge, client, start, lab, nothing_opened):
    daemon = start(DOOR)
    lines = real_lines(lab, client)
    for line in lines:
        forge(lab, line)
    lab.wait_logged(lines[-1].split(" SPT=")[1].rstrip())
    nothing_opened(daemon, client)


def test_written_by_an_unprivileged_user(client, start, lab, nothing_opened):
    daemon = start(DOOR)
    lines = real_lines(lab, client)
    for line in lines:
        for data, path in ((f"<4>kernel: {line}", SYSLOG),
                           (f"SYSLOG_FACILITY=0\n_TRANSPORT=kernel\nMESSAGE={line}\n", NATIVE)):
            lab.server.run("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups",
                           "/usr/bin/python3", "-c", SEND, "DGRAM", path, input=data)
    lab.wait_logged(lines[-1].split(" SPT=")[1].rstrip())
    nothing_opened(daemon, client)


def test_a_process_that_crashes_under_an_evil_name(client, start, lab, nothing_opened):
    """The kernel itself writes `NAME[PID]: segfault ...`, and NAME may be the prefix."""
    daemon = start(DOOR)
    names = [lab.prefix.strip(), "IN=eth0 OUT= SR", lab.prefix[:15], "kernel: [kt-"]
    for name in names:
        lab.server.run("/usr/bin/python3", "-c", CRASH, name, check=False)
    lab.server.run("sh", "-c", "echo crashed | systemd-cat")
    lab.wait_logged("crashed")
    if any("segfault" in str(entry.get("MESSAGE")) for entry in lab.journal("_TRANSPORT=kernel")):
        print("the kernel reports crashes here")
    nothing_opened(daemon, client)


def checksum(data):
    """The Internet checksum."""
    data += b"\0" * (len(data) % 2)
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xffff) + (total >> 16)
    return ~total & 0xffff


def quoted_syn(version, source, target, port):
    """The headers of a SYN, as an ICMP error quotes them."""
    tcp = struct.pack("!HHIIBBHHH", 30000 + port % 1000, port, 1, 0, 0x50, 2, 64240, 0, 0)
    if version == 6:
        return struct.pack("!IHBB", 6 << 28, len(tcp), socket.IPPROTO_TCP, 64) \
            + socket.inet_pton(socket.AF_INET6, source) \
            + socket.inet_pton(socket.AF_INET6, target) + tcp
    return struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(tcp), port, 0, 64, socket.IPPROTO_TCP, 0) \
        + socket.inet_aton(source) + socket.inet_aton(target) + tcp


@pytest.mark.parametrize("version", [4, 6], ids=["IPv4", "IPv6"])
def test_icmp_errors_that_quote_a_knock(version, client, other, start, lab, nothing_opened):
    """The kernel logs the quoted packet in [brackets], with addresses that the sender chose."""
    daemon = start(DOOR)
    for source in (client, other):
        for port in PORTS:
            packet = quoted_syn(version, source.address(version), client.peer(version), port)
            if version == 6:
                header = struct.pack("!BBHI", 1, 4, 0, 0)
                kind, protocol = socket.AF_INET6, socket.IPPROTO_ICMPV6
            else:
                header = struct.pack("!BBHI", 3, 1, checksum(struct.pack("!BBHI", 3, 1, 0, 0)
                                                             + packet), 0)
                kind, protocol = socket.AF_INET, socket.IPPROTO_ICMP
            with other.socket(kind, socket.SOCK_RAW, protocol) as sock:
                sock.sendto(header + packet, (other.peer(version), 0))
    wait_until(lambda: [record for record in lab.records() if "[SRC=" in record["MESSAGE"]
                        and f"SPT=30000 DPT={PORTS[-1]}" in record["MESSAGE"]], 3,
               "the kernel logs the quoted packets")
    nothing_opened(daemon, client, other)


def test_packets_that_carry_lines(client, other, start, lab, nothing_opened):
    """A LOG line shows nothing of a packet's data."""
    daemon = start(DOOR)
    lines = real_lines(lab, client)
    with other.socket(kind=socket.SOCK_DGRAM) as sock:
        for line in lines:
            sock.sendto(line.encode(), (other.peer(), 514))
            sock.sendto(b"\n<4>kernel: " + line.encode() + b"\n", (other.peer(), 7000))
    nothing_opened(daemon, client, other)


def test_the_lines_of_another_firewall_rule(client, start, lab, nothing_opened):
    """Real lines of the kernel whose prefix only begins or ends like ours."""
    daemon = start(DOOR)
    others = [f"x{lab.prefix}", f"{lab.prefix.strip()}", f"{lab.prefix.upper()}", f" {lab.prefix}"]
    for prefix in others:
        lab.server.run("iptables", "-A", "DOORS", "-p", "tcp", "--dport", "7000:9000",
                       "-s", client.v4, "-j", "LOG", "--log-prefix", prefix)
    lab.server.run("iptables", "-A", "DOORS", "-s", client.v4, "-j", "DROP")
    client.knock(*PORTS)
    lab.wait_logged(f"x{lab.prefix}IN=")
    nothing_opened(daemon, client)
