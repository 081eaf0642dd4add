#!/usr/bin/python3
"""Prints tests/vectors/knocks: what clients and servers in any language can be held against.

    ./vectors.py >../vectors/knocks
"""

import textwrap

from oracle import (HIGHEST_PORT, be64, door_tag, key_line, mac, raw_ports, spa_key, spa_open,
                    spa_option, spa_plain, spa_port, step_of, token_macs, token_ports)

HEAD = """\
Test vectors of token and SPA knocks, version 1: one block a knock, as knocktail-protocol(7) shows
them. Made by tests/oracle/vectors.py. Numbers are decimal; select, rest, spa_key, plain, nonce and
box are hexadecimal; source is - for a door that is not bound.
"""

COUNTING = bytes(range(32))
ONES = b"\xff" * 32
OTHER = bytes.fromhex("8f1d2a7c4be05936d3c8b7a1f0e49d5c6b3a2918f7e6d5c4b3a29180716f5e4d")

V4, V6 = "198.51.100.7", "2001:db8:c::7"

# When it all began: 2026-11-22 22:00:00 UTC.
EVENING = 1795384800

# (what is special, key, door, time, source)
TOKENS = [
    ("the first second of a step", COUNTING, "ssh", EVENING, None),
    ("its last second: the same ports", COUNTING, "ssh", EVENING + 29, None),
    ("the next step", COUNTING, "ssh", EVENING + 30, None),
    ("another door", COUNTING, "web-admin_2", EVENING, None),
    ("another key", OTHER, "ssh", EVENING, None),
    ("bound to an IPv4 address: the selector stays", COUNTING, "ssh", EVENING, V4),
    ("bound to an IPv6 address", COUNTING, "ssh", EVENING, V6),
    ("step 0, a key of ones, a name as long as it may be", ONES, "d" * 32, 0, None),
    ("a time that needs more than 32 bits", COUNTING, "ssh", 2**33 + 7, None),
    ("two equal ports: the second is moved by one", COUNTING, "ssh", 80 * 30, None),
    ("a port that equals the selector is moved", COUNTING, "ssh", 14033 * 30, None),
    ("moved by two, for the next port is taken as well", COUNTING, "ssh", 21004845 * 30, None),
    ("a port that equals one that was moved", COUNTING, "ssh", 48772075 * 30, None),
    ("65535 twice: the second becomes 1024", COUNTING, "ssh", 139287227 * 30, None),
]

# (what is special, key, door, time, nonce, seconds asked for, source)
NONCE = bytes.fromhex("000102030405060708090a0b")
REQUESTS = [
    ("the door's own timeout", COUNTING, "ssh", EVENING, NONCE, 0, None),
    ("another nonce", COUNTING, "ssh", EVENING, b"\xff" * 12, 0, None),
    ("ten minutes asked for, a second before the port changes", COUNTING, "ssh", EVENING + 29,
     NONCE, 600, None),
    ("the next step: another port", COUNTING, "ssh", EVENING + 30, NONCE, 600, None),
    ("another door: the same port", COUNTING, "web-admin_2", EVENING, NONCE, 0, None),
    ("another key", OTHER, "ssh", EVENING, NONCE, 0, None),
    ("bound to an IPv4 address", COUNTING, "ssh", EVENING, NONCE, 0, V4),
    ("bound to an IPv6 address", COUNTING, "ssh", EVENING, NONCE, 0, V6),
    ("the latest time and the longest request", ONES, "d" * 32, 2**32 - 1, NONCE, 65535, None),
]


def token_block(why, key, door, seconds, source):
    """One token."""
    select, rest = token_macs(key, door, step_of(seconds), source)
    return [f"# {why}", "knock = token", f"key = {key_line(key).strip()}", f"door = {door}",
            f"time = {seconds}", f"source = {source or '-'}", f"select = {select.hex()}",
            f"rest = {rest.hex()}",
            f"ports = {' '.join(map(str, token_ports(key, door, seconds, source)))}"]


def spa_block(why, key, door, seconds, nonce, wanted, source):
    """One request."""
    option = spa_option(key, door, seconds, nonce, wanted, source)
    assert spa_open(key, option, source) == (seconds, door_tag(door), wanted)
    select = mac(key, b"knocktail/spa/1\0select\0", be64(step_of(seconds)))
    return [f"# {why}", "knock = spa", f"key = {key_line(key).strip()}", f"door = {door}",
            f"time = {seconds}", f"source = {source or '-'}", f"seconds = {wanted}",
            f"nonce = {nonce.hex()}", f"select = {select.hex()}",
            f"port = {spa_port(key, seconds)}", f"spa_key = {spa_key(key).hex()}",
            f"plain = {spa_plain(door, seconds, wanted).hex()}", f"box = {option[16:].hex()}"]


def check_specials():
    """The inputs that were searched for are still what they were found for."""
    def moves(step):
        raw, ports = raw_ports(COUNTING, "ssh", step), token_ports(COUNTING, "ssh", step * 30)
        return [(was, now, i, raw) for i, (was, now) in enumerate(zip(raw, ports)) if was != now]
    (was, now, i, raw), = moves(80)
    assert now == was + 1 and was in raw[1:i]
    (was, now, i, raw), = moves(14033)
    assert now == was + 1 and was == raw[0]
    assert any(now == was + 2 for was, now, _, _ in moves(21004845))
    assert any(was not in raw[:i] for was, _, i, raw in moves(48772075))
    assert (HIGHEST_PORT, 1024) in [(was, now) for was, now, _, _ in moves(139287227)]


def text():
    """The whole file."""
    check_specials()
    head = "".join(f"# {line}\n" for line in textwrap.dedent(HEAD).splitlines())
    blocks = [token_block(*case) for case in TOKENS] + [spa_block(*case) for case in REQUESTS]
    return head + "".join("\n" + "\n".join(block) + "\n" for block in blocks)


if __name__ == "__main__":
    print(text(), end="")
