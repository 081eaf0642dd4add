#!/usr/bin/env python3
"""Sends a token to a host that knocktail guards, with Python's standard library alone: for phones
(Termux, a-Shell, Pydroid), Windows, and wherever knocktap is not. See knocktail-protocol(7).

    knocktap.py [-4 | -6] [--source ADDRESS | none | auto] KEYFILE DOOR HOST
"""

import argparse
import base64
import hashlib
import hmac
import ipaddress
import os
import re
import socket
import stat
import sys
import time

# Addresses that a server does not see as they are: a knock is not bound to one of these.
TRANSLATED = [ipaddress.ip_network(text) for text in (
    "0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12",
    "192.0.0.0/24", "192.168.0.0/16", "198.18.0.0/15", "224.0.0.0/3")]


def read_base(path):
    """What all knocks of the key in the file come from."""
    with open(path, "rb") as file:
        if os.name == "posix" and stat.S_IMODE(os.fstat(file.fileno()).st_mode) & 0o077:
            sys.exit(f"{path}: others may read or write this key: chmod 600 {path}")
        text = file.read(4096).decode("ascii", "replace")
    found = re.match(r"knocktail2 ([a-z0-9._-]{1,64}) ([A-Za-z0-9+/]{43}=)(?:\n(?!knocktail2).*)*", text)
    if not found:
        sys.exit(f"{path}: it does not hold a key of knocktail's")
    now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    since, expires = (re.search(rf"^{word} (\S+)", found[0], re.MULTILINE) for word in ("since", "expires"))
    if expires and now >= expires[1]:
        sys.exit(f"{path}: the key expired on {expires[1]}: ask for a new one")
    if since and now < since[1]:
        sys.exit(f"{path}: the key is good from {since[1]} on")
    return mac(base64.b64decode(found[2]), b"knocktail/2\0", found[1].encode())


def mac(key, *parts):
    return hmac.new(key, b"".join(parts), hashlib.sha256).digest()


def token_ports(base, door, step, version, source=None):
    """The eight ports that are right in this half minute; the first is the same for each source."""
    tail = b"\0" + door.encode() + b"\0" + bytes([version]) + step.to_bytes(8, "big")
    address = bytes(16)
    if source:
        address = (bytes(10) + b"\xff\xff" if source.version == 4 else b"") + source.packed
    digest = mac(base, b"token\0select", tail)[:4] + mac(base, b"token\0rest", tail, address)
    ports = []
    for i in range(0, 32, 4):
        port = 1024 + int.from_bytes(digest[i:i + 4], "big") % 64512
        while port in ports:
            port = port + 1 if port < 65535 else 1024
        ports.append(port)
    return ports


def knock(to, base, door, source):
    """Sends the token to one address, each datagram twice, for packets are lost."""
    with socket.socket(to[0], socket.SOCK_DGRAM) as sock:
        sock.connect((*to[1][:1], 9, *to[1][2:]))
        if source == "auto":
            source = ipaddress.ip_address(sock.getsockname()[0].partition("%")[0])
            source = None if any(source in network for network in TRANSLATED) else source
    ports = token_ports(base, door, int(time.time()) // 30, 4 if to[0] == socket.AF_INET else 6, source)
    with socket.socket(to[0], socket.SOCK_DGRAM) as sock:
        for pause in (0.05, 0):
            for port in ports:
                sock.sendto(b"", (*to[1][:1], port, *to[1][2:]))
            time.sleep(pause)


def an_address(text):
    return text if text == "auto" else None if text == "none" else ipaddress.ip_address(text)


def a_door(text):
    if not re.fullmatch("[a-z0-9][a-z0-9_-]{0,31}", text.lower()):
        raise ValueError
    return text.lower()


def main():
    parser = argparse.ArgumentParser(description="sends a token to a host that knocktail guards")
    family = parser.add_mutually_exclusive_group()
    for number, constant in (("4", socket.AF_INET), ("6", socket.AF_INET6)):
        family.add_argument(f"-{number}", dest="family", action="store_const", const=constant, default=0,
                            help=f"over IPv{number}")
    parser.add_argument("--source", type=an_address, default="auto", metavar="ADDRESS",
                        help="the address that the host sees; none: any; auto (the default): ours, if it can be")
    parser.add_argument("keyfile")
    parser.add_argument("door", type=a_door)
    parser.add_argument("host")
    args = parser.parse_args()
    if isinstance(args.source, (ipaddress.IPv4Address, ipaddress.IPv6Address)):
        family = socket.AF_INET if args.source.version == 4 else socket.AF_INET6
        if args.family not in (0, family):
            parser.error(f"--source {args.source} is an address of the other family")
        args.family = family
    try:
        base = read_base(args.keyfile)
        found = socket.getaddrinfo(args.host, None, args.family, socket.SOCK_DGRAM)
        for to in {info[4]: (info[0], info[4]) for info in found if info[0] == found[0][0]}.values():
            knock(to, base, args.door, args.source)
    except OSError as error:
        sys.exit(f"{parser.prog}: {error}")
    except UnicodeError:    # what getaddrinfo says of a part of a name that is empty, or too long
        sys.exit(f"{parser.prog}: {args.host!r} is not the name or address of a host")


if __name__ == "__main__":
    main()
