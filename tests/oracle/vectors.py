#!/usr/bin/python3
"""Prints tests/vectors/knocks: what clients and servers in any language can be held against.

    ./vectors.py >../vectors/knocks
"""

import textwrap

from oracle import (HIGHEST_PORT, base_of, door_tag, key_line, raw_ports, spa_key, spa_open,
                    spa_option, spa_plain, spa_port, spa_select, step_of, token_macs, token_ports)

HEAD = """\
Test vectors of token and SPA knocks, version 2: one block a knock, as knocktail-protocol(7) shows
them. Made by tests/oracle/vectors.py. Numbers are decimal; base, select, rest, spa_key, plain, nonce
and box are hexadecimal; source is - for a knock that names none.
"""

ZEROS = bytes(32)
COUNTING = bytes(range(32))
ONES = b"\xff" * 32
OTHER = bytes.fromhex("8f1d2a7c4be05936d3c8b7a1f0e49d5c6b3a2918f7e6d5c4b3a29180716f5e4d")

REALM = "bar"
LONGEST = "a-server_that.is-called-something-as-long-as-a-realm-may-be-0123"

V4, V6 = "198.51.100.7", "2001:db8:c::7"

# When it all began: 2026-11-22 22:00:00 UTC.
EVENING = 1795384800

# (what is special, key, realm, door, time, family, source)
TOKENS = [
    ("a key of zeros, IPv4", ZEROS, REALM, "ssh", 1770000000, 4, None),
    ("the same, bound to an IPv4 address: the first port stays", ZEROS, REALM, "ssh", 1770000000,
     4, "198.51.100.1"),
    ("the same, IPv6", ZEROS, REALM, "ssh", 1770000000, 6, None),
    ("the first second of a step", COUNTING, REALM, "ssh", EVENING, 4, None),
    ("its last second: the same ports", COUNTING, REALM, "ssh", EVENING + 29, 4, None),
    ("the next step", COUNTING, REALM, "ssh", EVENING + 30, 4, None),
    ("another door", COUNTING, REALM, "web-admin_2", EVENING, 4, None),
    ("another key", OTHER, REALM, "ssh", EVENING, 4, None),
    ("another realm", COUNTING, "b", "ssh", EVENING, 4, None),
    ("bound to an IPv4 address", COUNTING, REALM, "ssh", EVENING, 4, V4),
    ("bound to an IPv6 address", COUNTING, REALM, "ssh", EVENING, 6, V6),
    ("step 0, a key of ones, a realm and a door as long as they may be", ONES, LONGEST, "d" * 32, 0,
     6, None),
    ("a time that needs more than 32 bits", COUNTING, REALM, "ssh", 2**33 + 7, 4, None),
    ("two equal ports: the second is moved by one", COUNTING, REALM, "ssh", 384 * 30, 4, None),
    ("a port that equals the first is moved", COUNTING, REALM, "ssh", 16861 * 30, 4, None),
    ("moved by two, for the next port is taken as well", COUNTING, REALM, "ssh", 6414924 * 30, 4,
     None),
    ("a port that equals one that was moved", COUNTING, REALM, "ssh", 40625587 * 30, 4, None),
    ("65535 twice: the second becomes 1024", COUNTING, REALM, "ssh", 43767694 * 30, 4, None),
]

# (what is special, key, realm, door, time, nonce, seconds asked for, source)
NONCE = bytes.fromhex("000102030405060708090a0b")
REQUESTS = [
    ("a key of zeros, a minute asked for", ZEROS, REALM, "ssh", 1770000000, bytes(12), 60, None),
    ("the door's own timeout", COUNTING, REALM, "ssh", EVENING, NONCE, 0, None),
    ("another nonce", COUNTING, REALM, "ssh", EVENING, b"\xff" * 12, 0, None),
    ("ten minutes asked for, a second before the port changes", COUNTING, REALM, "ssh",
     EVENING + 29, NONCE, 600, None),
    ("the next step: another port", COUNTING, REALM, "ssh", EVENING + 30, NONCE, 600, None),
    ("another door: the same port", COUNTING, REALM, "web-admin_2", EVENING, NONCE, 0, None),
    ("another key", OTHER, REALM, "ssh", EVENING, NONCE, 0, None),
    ("another realm", COUNTING, "b", "ssh", EVENING, NONCE, 0, None),
    ("bound to an IPv4 address", COUNTING, REALM, "ssh", EVENING, NONCE, 0, V4),
    ("bound to an IPv6 address", COUNTING, REALM, "ssh", EVENING, NONCE, 0, V6),
    ("the latest time and the longest request", ONES, LONGEST, "d" * 32, 2**32 - 1, NONCE, 65535,
     None),
]


def head_of(why, knock, key, realm, door, seconds):
    """What stands in every block."""
    return [f"# {why}", f"knock = {knock}", f"key = {key_line(key).split()[-1]}",
            f"realm = {realm}", f"base = {base_of(key, realm).hex()}", f"door = {door}",
            f"time = {seconds}"]


def token_block(why, key, realm, door, seconds, family, source):
    """One token."""
    base = base_of(key, realm)
    select, rest = token_macs(base, door, family, step_of(seconds), source)
    ports = token_ports(base, door, seconds, source, family)
    return [*head_of(why, "token", key, realm, door, seconds), f"fam = {family}",
            f"source = {source or '-'}", f"select = {select.hex()}", f"rest = {rest.hex()}",
            f"ports = {' '.join(map(str, ports))}"]


def spa_block(why, key, realm, door, seconds, nonce, wanted, source):
    """One request."""
    base = base_of(key, realm)
    option = spa_option(base, door, seconds, nonce, wanted, source)
    assert spa_open(base, option, source) == (seconds, door_tag(door), wanted)
    return [*head_of(why, "spa", key, realm, door, seconds), f"source = {source or '-'}",
            f"seconds = {wanted}", f"nonce = {nonce.hex()}",
            f"select = {spa_select(base, step_of(seconds)).hex()}",
            f"port = {spa_port(base, seconds)}", f"spa_key = {spa_key(base).hex()}",
            f"plain = {spa_plain(door, seconds, wanted).hex()}", f"box = {option[16:].hex()}"]


def check_specials():
    """The inputs that were searched for are still what they were found for."""
    base = base_of(COUNTING, REALM)

    def moves(step):
        raw, ports = raw_ports(base, "ssh", 4, step), token_ports(base, "ssh", step * 30)
        return [(was, now, i, raw) for i, (was, now) in enumerate(zip(raw, ports)) if was != now]
    (was, now, i, raw), = moves(384)
    assert now == was + 1 and was in raw[1:i]
    (was, now, i, raw), = moves(16861)
    assert now == was + 1 and was == raw[0]
    assert any(now == was + 2 for was, now, _, _ in moves(6414924))
    assert any(was not in raw[:i] for was, _, i, raw in moves(40625587))
    assert (HIGHEST_PORT, 1024) in [(was, now) for was, now, _, _ in moves(43767694)]


def text():
    """The whole file."""
    check_specials()
    head = "".join(f"# {line}\n" for line in textwrap.dedent(HEAD).splitlines())
    blocks = [token_block(*case) for case in TOKENS] + [spa_block(*case) for case in REQUESTS]
    return head + "".join("\n" + "\n".join(block) + "\n" for block in blocks)


if __name__ == "__main__":
    print(text(), end="")
