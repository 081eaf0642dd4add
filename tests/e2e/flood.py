#!/usr/bin/python3
"""Sends probes: flood.py MAC TARGET RATE SECONDS SOURCES PORT...

They come from so many addresses, or in the name of the one that is given.

TCP SYNs and UDP datagrams, at so many a second. Every tenth goes to one of the ports, the others
anywhere. Prints "ready", waits for a line, and prints in the end how many it has sent, and in how
many seconds. Another line ends it before its time.
"""

import contextlib
import random
import select
import socket
import struct
import subprocess
import sys
import time

ETHERTYPE_IP = 0x0800
BATCH = 100     # how many are sent without a look at the clock
N_FRAMES = 5000


class Flood:
    """A flood from a client's wire, of so many addresses in 10.0.0.0/8, or in the name of one that is
    given; made ready, then started."""

    def __init__(self, client, rate, seconds, sources, ports=()):
        self.seconds = seconds
        self.rate = None    # what has become of it
        self._process = client.popen(
            ["/usr/bin/python3", "-B", __file__, client.server.mac, client.peer(), rate, seconds,
             sources, *ports], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        if self._process.stdout.readline() != "ready\n":
            raise AssertionError("the flood does not start")

    def start(self):
        """Opens the gates."""
        self._process.stdin.write("\n")
        self._process.stdin.flush()

    def running(self):
        """Whether it goes on."""
        return self._process.poll() is None

    def stop(self):
        """Ends it before its time, unless that has come."""
        with contextlib.suppress(BrokenPipeError):
            self.start()

    def wait(self):
        """Waits for its end and returns how many packets were sent."""
        self._process.wait(self.seconds + 30)
        sent, passed = self._process.stdout.read().split()
        self.rate = int(sent) / float(passed)
        return int(sent)


def checksum(data):
    """The Internet's (RFC 1071)."""
    if len(data) % 2:
        data += b"\0"
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xffff) + (total >> 16)
    return ~total & 0xffff


def segment(protocol, source, target, port):
    """A SYN, or an empty datagram."""
    from_port = random.randrange(1024, 65536)
    if protocol == socket.IPPROTO_UDP:
        return struct.pack("!HHHH", from_port, port, 8, 0)
    head = struct.pack("!HHIIBBHHH", from_port, port, random.getrandbits(32), 0, 5 << 4, 2, 64240,
                       0, 0)
    pseudo = source + target + struct.pack("!BBH", 0, protocol, len(head))
    return head[:16] + struct.pack("!H", checksum(pseudo + head)) + head[18:]


def frame(link, source, target, port):
    """An Ethernet frame with such a packet."""
    protocol = random.choice((socket.IPPROTO_TCP, socket.IPPROTO_UDP))
    payload = segment(protocol, source, target, port)
    head = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(payload), random.getrandbits(16), 0, 64,
                       protocol, 0) + source + target
    head = head[:10] + struct.pack("!H", checksum(head)) + head[12:]
    return link + head + payload


def main():
    mac, target, rate, seconds, n_sources = sys.argv[1:6]
    ports = [int(port) for port in sys.argv[6:]]
    rate, seconds = int(rate), float(seconds)
    sock = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, ETHERTYPE_IP)
    sock.bind(("eth0", 0))
    link = (bytes.fromhex(mac.replace(":", "")) + sock.getsockname()[4]
            + struct.pack("!H", ETHERTYPE_IP))
    target = socket.inet_aton(target)
    if "." in n_sources:
        sources = [socket.inet_aton(n_sources)] * N_FRAMES
    else:   # of 10.0.0.0/8
        sources = [struct.pack("!I", 0x0a000000 + number)
                   for number in random.sample(range(1, 1 << 24), int(n_sources))]
    frames = [frame(link, source, target,
                    random.choice(ports) if ports and random.random() < 0.1
                    else random.randrange(1, 65536))
              for source in sources]
    print("ready", flush=True)
    sys.stdin.readline()

    sent, begin = 0, time.monotonic()
    while (passed := time.monotonic() - begin) < seconds:
        due = min(int(passed * rate), sent + BATCH)
        if select.select([sys.stdin], [], [], 0.0005 if sent == due else 0)[0]:
            break
        while sent < due:
            sock.send(frames[sent % len(frames)])
            sent += 1
    print(sent, passed, flush=True)


if __name__ == "__main__":
    main()
