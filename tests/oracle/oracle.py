#!/usr/bin/python3
"""Token and SPA knocks, a second time and independently: what the tests hold the C code against.

Written from the specification (knocktail-protocol(7)) alone, and a client of its own:

    ./oracle.py --key FILE --door ssh [--source ADDRESS] [--tcp] [--order reverse] HOST
    ./oracle.py --key FILE --door ssh --spa [--seconds 60] [--source ADDRESS] HOST

A key is what the specification calls base: what a key file holds is good for its realm alone.
"""

import argparse
import base64
import hashlib
import hmac
import ipaddress
import os
import random
import socket
import struct
import time

import rfc8439

STEP_SECONDS = 30
N_PORTS = 8
LOWEST_PORT = 1024
HIGHEST_PORT = 65535
OPTION_KIND = 253
OPTION_LENGTH = 40
OPTION_MAGIC = 0x4B54

NO_SOURCE = bytes(16)


def mac(key, *parts):
    """HMAC-SHA256."""
    return hmac.new(key, b"".join(parts), hashlib.sha256).digest()


def word(digest, i):
    """The i-th four bytes."""
    return int.from_bytes(digest[4 * i:4 * i + 4], "big")


def port_of(value):
    """The port that a word stands for."""
    return LOWEST_PORT + value % 64512


def addr16(address):
    """Sixteen bytes for an address; for None, zeroes."""
    if address is None:
        return NO_SOURCE
    address = ipaddress.ip_address(address)
    if address.version == 4:
        return bytes(10) + b"\xff\xff" + address.packed
    return address.packed


def be64(value):
    """Eight bytes, the highest first."""
    return struct.pack(">Q", value)


def step_of(seconds):
    """The number of the 30 seconds that a Unix time lies in."""
    return int(seconds) // STEP_SECONDS


def base_of(key, realm):
    """What everything comes from: a key in its realm."""
    return mac(key, b"knocktail/2\0", realm.encode())


# Tokens

def token_macs(base, door, family, step, source=None):
    """The two MACs that the ports come from. The family is 4 or 6."""
    tail = b"\0" + door.encode() + b"\0" + bytes([family]) + be64(step)
    return (mac(base, b"token\0", b"select", tail),
            mac(base, b"token\0", b"rest", tail, addr16(source)))


def raw_ports(base, door, family, step, source=None):
    """The eight ports before equal ones have been moved."""
    select, rest = token_macs(base, door, family, step, source)
    return [port_of(word(select, 0)), *(port_of(word(rest, i)) for i in range(N_PORTS - 1))]


def token_ports(base, door, seconds, source=None, family=4):
    """The eight ports; the first is the selector."""
    ports = []
    for port in raw_ports(base, door, family, step_of(seconds), source):
        while port in ports:
            port = LOWEST_PORT if port == HIGHEST_PORT else port + 1
        ports.append(port)
    return ports


# SPA

def spa_key(base):
    """The key that requests are encrypted with."""
    return mac(base, b"spa\0key")


def spa_select(base, step):
    """The MAC that the port comes from."""
    return mac(base, b"spa\0select\0", be64(step))


def spa_port(base, seconds):
    """Where the SYN goes."""
    return port_of(word(spa_select(base, step_of(seconds)), 0))


def door_tag(door):
    """The two bytes that name a door."""
    return hashlib.sha256(door.encode()).digest()[:2]


def spa_plain(door, seconds, wanted=0):
    """What is encrypted: eight bytes."""
    return struct.pack(">L", int(seconds)) + door_tag(door) + struct.pack(">H", wanted)


def spa_associated(source=None):
    """What is authenticated besides."""
    return b"knocktail/2\0" + addr16(source)


def spa_option(base, door, seconds, nonce, wanted=0, source=None):
    """The TCP option, all 40 bytes."""
    box = rfc8439.seal(spa_key(base), nonce, spa_plain(door, seconds, wanted),
                       spa_associated(source))
    return struct.pack(">BBH", OPTION_KIND, OPTION_LENGTH, OPTION_MAGIC) + nonce + box


def spa_open(base, option, source=None):
    """What a server reads: (Unix time, door tag, seconds asked for), or None."""
    if len(option) != OPTION_LENGTH or option[:4] != struct.pack(
            ">BBH", OPTION_KIND, OPTION_LENGTH, OPTION_MAGIC):
        return None
    plain = rfc8439.unseal(spa_key(base), option[4:16], option[16:], spa_associated(source))
    if plain is None:
        return None
    return int.from_bytes(plain[:4], "big"), plain[4:6], int.from_bytes(plain[6:], "big")


# Keys

# The one that tests use.
REALM = "lab"


def read_key(path):
    """What is in a key file: the realm, and the 32 bytes."""
    with open(path, "rb") as file:
        version, realm, text = file.read().decode().removesuffix("\n").split(" ")
    key = base64.b64decode(text, validate=True)
    if version != "knocktail2" or len(key) != 32:
        raise ValueError(f"{path}: {version}, {len(key)} bytes instead of 32")
    return realm, key


def read_base(path):
    """What the knocks of a key file come from."""
    realm, key = read_key(path)
    return base_of(key, realm)


def key_line(key, realm=REALM):
    """What stands in a key file."""
    return f"knocktail2 {realm} {base64.b64encode(key).decode()}\n"


# A client. make_socket(family, kind, protocol) is socket.socket, or that of another namespace.

def _family(host):
    return socket.AF_INET6 if ":" in host else socket.AF_INET


def send_udp(host, ports, payload=b"", bind=None, make_socket=socket.socket):
    """One datagram to each port, in this order."""
    with make_socket(_family(host), socket.SOCK_DGRAM, 0) as sock:
        if bind:
            sock.bind((bind, 0))
        for port in ports:
            sock.sendto(payload, (host, port))


def send_tcp(host, ports, bind=None, make_socket=socket.socket):
    """One SYN to each port, in this order; a socket that is closed at once sends no second one."""
    for port in ports:
        with make_socket(_family(host), socket.SOCK_STREAM, 0) as sock:
            if bind:
                sock.bind((bind, 0))
            sock.setblocking(False)
            sock.connect_ex((host, port))


def local_address(host, make_socket=socket.socket):
    """Which address of ours packets to the host come from."""
    with make_socket(_family(host), socket.SOCK_DGRAM, 0) as sock:
        sock.connect((host, 9))
        return sock.getsockname()[0]


def _checksum(data):
    total = sum(struct.unpack(f">{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xffff) + (total >> 16)
    return ~total & 0xffff


def syn(source, host, source_port, port, options=b""):
    """A TCP header with SYN alone and these options, its checksum included."""
    length = 20 + len(options)
    header = struct.pack(">HHLLBBHHH", source_port, port, random.getrandbits(32), 0,
                         length // 4 << 4, 0x02, 64240, 0, 0) + options
    addresses = ipaddress.ip_address(source).packed + ipaddress.ip_address(host).packed
    pseudo = addresses + struct.pack(">LL", length, socket.IPPROTO_TCP)
    return header[:16] + struct.pack(">H", _checksum(pseudo + header)) + header[18:]


def send_syn(host, port, options, bind=None, make_socket=socket.socket):
    """The SYN, by a raw socket: CAP_NET_RAW."""
    source = bind or local_address(host, make_socket)
    with make_socket(_family(host), socket.SOCK_RAW, socket.IPPROTO_TCP) as sock:
        if bind:
            sock.bind((bind, 0))
        sock.sendto(syn(source, host, random.randrange(32768, 61000), port, options), (host, 0))


def ordered(ports, order):
    """The ports forwards, in reverse, shuffled, or as "3,1,2,..." says."""
    if order == "forward":
        return list(ports)
    if order == "reverse":
        return list(reversed(ports))
    if order == "random":
        return random.sample(ports, len(ports))
    return [ports[int(i) - 1] for i in order.split(",")]


def main():
    """The command."""
    parser = argparse.ArgumentParser(description="sends a token or an SPA knock")
    parser.add_argument("host", help="an address")
    parser.add_argument("--key", required=True, help="the key file")
    parser.add_argument("--door", required=True)
    parser.add_argument("--time", type=int, default=None, help="Unix time (default: now)")
    parser.add_argument("--source", help="our address as the server sees it: a bound knock")
    parser.add_argument("--bind", help="send from this address")
    parser.add_argument("--tcp", action="store_true", help="SYNs instead of datagrams")
    parser.add_argument("--order", default="forward",
                        help="forward, reverse, random, or places such as 8,1,2,3,4,5,6,7")
    parser.add_argument("--spa", action="store_true", help="one SYN (needs CAP_NET_RAW)")
    parser.add_argument("--seconds", type=int, default=0, help="SPA: how long to open")
    parser.add_argument("--print", action="store_true", help="show it instead of sending it")
    asked = parser.parse_args()

    base = read_base(asked.key)
    now = int(time.time()) if asked.time is None else asked.time
    if asked.spa:
        option = spa_option(base, asked.door, now, os.urandom(12), asked.seconds, asked.source)
        if asked.print:
            print(spa_port(base, now), option.hex())
        else:
            send_syn(asked.host, spa_port(base, now), option, asked.bind)
        return
    ports = ordered(token_ports(base, asked.door, now, asked.source, 6 if ":" in asked.host else 4),
                    asked.order)
    if asked.print:
        print(*ports)
    elif asked.tcp:
        send_tcp(asked.host, ports, asked.bind)
    else:
        send_udp(asked.host, ports, bind=asked.bind)


if __name__ == "__main__":
    main()
