"""The specification of token and SPA knocks, its vectors, and the implementation the tests trust."""

import hashlib
import hmac
import os
import re

import pytest

import oracle
import rfc8439
import vectors

from lab import ROOT

VECTORS = os.path.join(ROOT, "tests", "vectors", "knocks")
SUNSCREEN = (b"Ladies and Gentlemen of the class of '99: If I could offer you only one tip for the "
             b"future, sunscreen would be it.")


def test_chacha20_poly1305_is_that_of_rfc_8439():
    """Section 2.8.2."""
    key = bytes(range(0x80, 0xa0))
    nonce = bytes.fromhex("070000004041424344454647")
    associated = bytes.fromhex("50515253c0c1c2c3c4c5c6c7")
    box = bytes.fromhex(
        "d31a8d34648e60db7b86afbc53ef7ec2a4aded51296e08fea9e2b5a736ee62d6"
        "3dbea45e8ca9671282fafb69da92728b1a71de0a9e060b2905d6a5b67ecd3b36"
        "92ddbd7f2d778b8c9803aee328091b58fab324e4fad675945585808b4831d7bc"
        "3ff4def08e4b7a9de576d26586cec64b61161ae10b594f09e26a7e902ecbd0600691")
    assert rfc8439.seal(key, nonce, SUNSCREEN, associated) == box
    assert rfc8439.unseal(key, nonce, box, associated) == SUNSCREEN
    for i in (0, len(SUNSCREEN), len(box) - 1):
        flipped = box[:i] + bytes([box[i] ^ 1]) + box[i + 1:]
        assert rfc8439.unseal(key, nonce, flipped, associated) is None
    assert rfc8439.unseal(key, nonce, box, associated[1:]) is None


def test_poly1305_is_that_of_rfc_8439():
    """Section 2.5.2."""
    key = bytes.fromhex("85d6be7857556d337f4452fe42d506a80103808afb0db2fd4abff6af4149f51b")
    assert rfc8439.poly1305(key, b"Cryptographic Forum Research Group").hex() == (
        "a8061dc1305136c6c22b8baf0c0127a9")


@pytest.mark.parametrize("key, data, digest", [
    (b"\x0b" * 20, b"Hi There",
     "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7"),
    (b"Jefe", b"what do ya want for nothing?",
     "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"),
    (b"\xaa" * 131, b"Test Using Larger Than Block-Size Key - Hash Key First",
     "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54"),
], ids=["1", "2", "6"])
def test_hmac_is_that_of_rfc_4231(key, data, digest):
    assert oracle.mac(key, data[:3], data[3:]).hex() == digest


def test_a_token_is_what_the_specification_says():
    """Its sentences once more, spelled out for one knock."""
    base = hmac.new(bytes(range(32)), b"knocktail/2\0bar", hashlib.sha256).digest()
    step = (1795384800 // 30).to_bytes(8, "big")
    select = hmac.new(base, b"token\0select\0ssh\0\x04" + step, hashlib.sha256).digest()
    rest = hmac.new(base, b"token\0rest\0ssh\0\x04" + step + bytes(10) + b"\xff\xff\xc6\x33\x64\x07",
                    hashlib.sha256).digest()
    words = [select[:4]] + [rest[i:i + 4] for i in range(0, 28, 4)]
    ports = [1024 + int.from_bytes(word, "big") % 64512 for word in words]
    assert len(set(ports)) == 8
    assert oracle.token_ports(base, "ssh", 1795384800 + 17, "198.51.100.7") == ports


def test_the_vectors_are_those_of_the_independent_implementation():
    with open(VECTORS, encoding="ascii") as file:
        assert file.read() == vectors.text()


def test_the_manual_shows_the_vectors():
    """All of them, to the letter, and no others."""
    with open(VECTORS, encoding="ascii") as file:
        blocks = file.read().rstrip("\n").split("\n\n")[1:]
    with open(os.path.join(ROOT, "man", "knocktail-protocol.7"), encoding="utf-8") as file:
        manual = file.read().partition(".Sh TEST VECTORS\n")[2]
    shown = re.findall(r"^\.Bd -literal\n(.*?)\n\.Ed$", manual, re.MULTILINE | re.DOTALL)
    assert shown == blocks
